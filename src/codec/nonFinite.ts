/** Whether any of `values` is NaN or infinite. One pass without branches: `x * 0` is 0 for all others. */
export function hasNonFinite(values: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  return sum !== 0;
}
