/**
 * Notices a student that has collapsed: its loss stands at the level of guessing, or is not finite. Such a peer still
 * answers every round, so nothing but its loss shows it, and what it teaches the others is noise.
 */
export interface Health {
  /**
   * @param step steps done
   * @param loss mean cross-entropy since the last call, in nats
   * @returns a change of state, to be told to people; `null` while it stays as it was
   */
  observe(
    step: number,
    crossEntropy: number,
  ): { readonly event: 'collapsed' | 'recovered'; readonly reason: string } | null;
}

/** Above this share of `ln(classes)`, a cross-entropy is that of guessing. */
const GUESSING = 0.98;

/**
 * @param classes number of classes; guessing costs `ln(classes)` nats
 * @param graceSteps first steps, in which a healthy student may not have learnt anything yet
 */
export function createHealth(classes: number, graceSteps: number): Health {
  const guessing = Math.log(classes);
  let collapsed = false;
  return {
    observe(step, crossEntropy) {
      const finite = Number.isFinite(crossEntropy);
      const sick = !finite || (step > graceSteps && crossEntropy >= GUESSING * guessing);
      if (sick === collapsed) return null;
      collapsed = sick;
      if (!sick) return { event: 'recovered', reason: `loss ${crossEntropy.toFixed(3)} at step ${step}` };
      const reason = finite
        ? `loss ${crossEntropy.toFixed(3)} at step ${step} is no better than guessing (ln ${classes} = ${guessing.toFixed(3)})`
        : `loss is not finite at step ${step}`;
      return {
        event: 'collapsed',
        reason: `${reason}; try a lower learning rate, warm-up steps or a longer burn-in`,
      };
    },
  };
}
