/**
 * The share of the full distillation weight that a step uses: 0 during the burn-in, when the teachers know nothing yet
 * (Anil et al. 2018, arXiv 1804.03235), then a linear ramp to 1.
 *
 * @param step 0-based
 * @returns from 0 to 1; no exchange is needed where it is 0
 */
export function distillationShareAt(
  step: number,
  options: { readonly burnInSteps: number; readonly rampUpSteps: number },
): number {
  const sinceBurnIn = step - options.burnInSteps;
  if (sinceBurnIn < 0) return 0;
  return Math.min(1, (sinceBurnIn + 1) / (options.rampUpSteps + 1));
}
