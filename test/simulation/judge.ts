import { type Plan, planOf } from './plan.ts';
import { type Outcome, simulate } from './simulate.ts';

/** Plays a run, and where nothing may have been lost in it also the same run without faults: both must end alike. */
export async function judge(plan: Plan): Promise<Outcome> {
  const outcome = await simulate(plan);
  const comparable =
    plan.quorum === 'all' && plan.onCoordinatorLoss === 'wait' && plan.faults.length > 0 && outcome.whole;
  if (!comparable || outcome.broken.length > 0) return outcome;
  const undisturbed = await simulate({ ...plan, faults: [] });
  const differ = Object.keys(outcome.weights).filter(
    (name) => outcome.weights[name] !== undisturbed.weights[name],
  );
  if (differ.length === 0) return outcome;
  const broken = [
    `P8 resumability: the weights of ${differ.join(', ')} are not those of the run without faults`,
  ];
  return { ...outcome, broken };
}

/** The same run with as few faults as still break what it breaks. */
export async function shrink(plan: Plan): Promise<Plan> {
  for (let i = 0; i < plan.faults.length; i++) {
    const fewer = { ...plan, faults: plan.faults.filter((_, each) => each !== i) };
    if ((await judge(fewer)).broken.length > 0) return shrink(fewer);
  }
  return plan;
}

export interface Finding {
  readonly seed: number;
  readonly outcome: Outcome;
}

/** Judges the runs of many seeds; the first that breaks a promise ends it. */
export async function judgeSeeds(
  from: number,
  count: number,
  told: (judged: number) => void = () => {},
): Promise<Finding | null> {
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await judge(planOf(seed));
    if (outcome.broken.length > 0) return { seed, outcome };
    told(seed - from + 1);
  }
  return null;
}
