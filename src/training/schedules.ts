/**
 * The learning rate of a step.
 *
 * @param step 0-based, of `totalSteps`
 * @param options.peak the highest rate
 * @param options.schedule `constant`, or `cosine`: half a cosine from the peak to 0 over the steps after the warm-up
 *   (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts)
 * @param options.warmUpSteps steps over which the rate grows linearly to the peak
 */
export function learningRateAt(
  step: number,
  totalSteps: number,
  options: {
    readonly peak: number;
    readonly schedule: 'constant' | 'cosine';
    readonly warmUpSteps: number;
  },
): number {
  const { peak, schedule, warmUpSteps } = options;
  if (step < warmUpSteps) return (peak * (step + 1)) / (warmUpSteps + 1);
  if (schedule === 'constant') return peak;
  const progress = (step - warmUpSteps) / Math.max(1, totalSteps - warmUpSteps);
  return (peak / 2) * (1 + Math.cos(Math.PI * Math.min(1, progress)));
}
