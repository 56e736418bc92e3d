/** Of the line of least squares through the values at 0, 1, 2, ... */
export function slope(values: readonly number[]): number {
  const x = (values.length - 1) / 2;
  const y = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [above, below] = values.reduce(
    ([a, b], value, i) => [a! + (i - x) * (value - y), b! + (i - x) ** 2],
    [0, 0],
  );
  return above! / below!;
}
