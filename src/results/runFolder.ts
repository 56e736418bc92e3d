/**
 * The name of a run and of its folder, such as `quickstart-20260131-142530`: local time, sortable, safe in file names.
 */
export function runFolderName(experiment: string, date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  const time = `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
  return `${experiment}-${day}-${time}`;
}
