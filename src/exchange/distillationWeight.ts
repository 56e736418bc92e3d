/** How the distillation grows after the burn-in: from shares of the way to shares of its full weight. */
const SHAPES = {
  linear: (x: number) => x,
  /** Laine & Aila 2017, arXiv 1610.02242; Lan, Zhu & Gong 2018 (ONE), arXiv 1806.04606. */
  sigmoid: (x: number) => Math.exp(-5 * (1 - x) ** 2),
  cosine: (x: number) => (1 - Math.cos(Math.PI * x)) / 2,
  /** Kim et al. 2021 (PS-KD), arXiv 2006.12000: the way ends where the training does. */
  growth: (x: number) => x,
} as const;

/**
 * The share of the full distillation weight that a step uses: 0 during the burn-in, when the teachers know nothing yet
 * (Anil et al. 2018, arXiv 1804.03235), then a ramp to 1.
 *
 * @param step 0-based, of `totalSteps`
 * @returns from 0 to 1; no exchange is needed where it is 0
 */
export function distillationShareAt(
  step: number,
  totalSteps: number,
  options: {
    readonly burnInSteps: number;
    readonly rampUpSteps: number;
    readonly rampUpShape: keyof typeof SHAPES;
  },
): number {
  const { burnInSteps, rampUpSteps, rampUpShape } = options;
  const sinceBurnIn = step - burnInSteps;
  if (sinceBurnIn < 0) return 0;
  const length = rampUpShape === 'growth' ? totalSteps - burnInSteps - 1 : rampUpSteps;
  return SHAPES[rampUpShape](Math.min(1, (sinceBurnIn + 1) / (length + 1)));
}
