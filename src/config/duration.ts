const millisecondsOf = { ms: 1, s: 1000, m: 60_000 } as const;

/** A number with a unit: milliseconds, seconds or minutes. */
export const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m)$/;

/**
 * Milliseconds of a duration such as `10s`, `500ms` or `2m`, rounded to whole ones; a number is milliseconds already.
 *
 * @returns NaN for anything else
 */
export function parseDuration(duration: string | number): number {
  if (typeof duration === 'number') return duration;
  const [, value, unit] = durationPattern.exec(duration) ?? [];
  return Math.round(Number(value) * millisecondsOf[unit as keyof typeof millisecondsOf]);
}
