/** The value below which a share of the numbers lies. @param share 0-1 */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
}

/** Median, and the range that the middle 80 % of the numbers lie in. */
export interface Spread {
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly count: number;
}

export function spreadOf(numbers: readonly number[]): Spread {
  const [p10, median, p90] = [0.1, 0.5, 0.9].map((share) => quantile(numbers, share)) as [
    number,
    number,
    number,
  ];
  return { median, p10, p90, count: numbers.length };
}

/** The interval that holds the median of what the numbers are a sample of, with 95 % confidence: by order alone. */
export function medianInterval(numbers: readonly number[]): readonly [low: number, high: number] {
  const half = 0.98 / Math.sqrt(numbers.length);
  return [quantile(numbers, Math.max(0, 0.5 - half)), quantile(numbers, Math.min(1, 0.5 + half))];
}
