/** When rates fall, as an experiment says it. */
interface Milestones {
  readonly epochs: number;
  /** Epochs after which something falls, in order. */
  readonly milestones?: readonly number[];
}

/** How many milestones lie behind a step: the first step of an epoch that is one counts. */
function passed(step: number, totalSteps: number, { epochs, milestones = [] }: Milestones): number {
  return milestones.filter((epoch) => step >= epoch * (totalSteps / epochs)).length;
}

/**
 * The learning rate of a step.
 *
 * @param step 0-based, of `totalSteps`
 * @param options.peak the highest rate
 * @param options.schedule `constant`; `cosine`: half a cosine from the peak to 0 over the steps after the warm-up
 *   (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts); or `step`: the peak, times `decayFactor` for each
 *   milestone that is behind
 * @param options.warmUpSteps steps over which the rate grows linearly to the peak
 */
export function learningRateAt(
  step: number,
  totalSteps: number,
  options: Milestones & {
    readonly peak: number;
    readonly schedule: 'constant' | 'cosine' | 'step';
    readonly warmUpSteps: number;
    readonly decayFactor?: number;
  },
): number {
  const { peak, schedule, warmUpSteps, decayFactor = 0.1 } = options;
  if (step < warmUpSteps) return (peak * (step + 1)) / (warmUpSteps + 1);
  switch (schedule) {
    case 'constant':
      return peak;
    case 'step':
      return peak * decayFactor ** passed(step, totalSteps, options);
    case 'cosine': {
      const progress = (step - warmUpSteps) / Math.max(1, totalSteps - warmUpSteps);
      return (peak / 2) * (1 + Math.cos(Math.PI * Math.min(1, progress)));
    }
  }
}

/**
 * The share of the weight decay that counts at a step: all of it, or with the schedule `milestones` a tenth from the
 * first milestone on and none from the second on. Co-distillation regularises, too, and with all of the weight decay to
 * the end networks underfit (Sodhani et al. 2020, arXiv 2010.02838, where milestones are the drops of the
 * learning rate).
 *
 * @param step 0-based, of `totalSteps`
 * @returns from 0 to 1
 */
export function weightDecayShareAt(
  step: number,
  totalSteps: number,
  training: Milestones & {
    readonly optimizer: { readonly weightDecaySchedule: 'constant' | 'milestones' };
  },
): number {
  if (training.optimizer.weightDecaySchedule === 'constant') return 1;
  return [1, 0.1][passed(step, totalSteps, training)] ?? 0;
}
