/** What is to be known about the distillation methods before any of them is loaded. */
import { registry } from '../distill/registry.ts';
import { isModelPath } from '../models/names.ts';

/** Names of the distillation methods, as `distill.method` and `compare` accept them. */
export const METHODS: readonly string[] = Object.values(registry).flatMap((group) => Object.keys(group));

/** Whether a method learns from other peers. One in a module of the user's own may: only who loads it knows. */
export function asksPeers(method: string): boolean {
  return Object.hasOwn(registry.peers, method) || isModelPath(method);
}

/** Methods that need more of other peers than the mean of their probabilities: features, or another ensemble. */
const NEEDING_MORE: ReadonlySet<string> = new Set([
  ...['kdcl', 'okddip', 'pcl'],
  ...['fitnet', 'at', 'sp', 'cc', 'vid', 'rkd', 'pkt', 'ab', 'ft', 'fsp', 'nst', 'crd'],
]);

/**
 * Whether copies of the other students can teach a method: they give the mean of their probabilities and no more. What a
 * method in a module of the user's own needs, only who loads it knows.
 */
export function learnsFromCopies(method: string): boolean {
  return !NEEDING_MORE.has(method);
}

/** How many students of each kind are trained one after the other, each taught by the one before; 0: just one, by itself. */
const GENERATIONS: Readonly<Record<string, number>> = { 'born-again': 2, 'tf-kd-self': 1 };

type Options = Readonly<Record<string, unknown>>;

/**
 * How many students come before the last one: the most that one of the methods has, by its option `generations` or by
 * itself.
 */
export function generationsOf({
  method,
  options,
  methods = [{ name: method, options }],
}: {
  readonly method: string;
  readonly options: Options;
  readonly methods?: readonly { readonly name: string; readonly options: Options }[];
}): number {
  const generations = methods.map((each) => {
    const standard = GENERATIONS[each.name] ?? 0;
    const told = each.options.generations;
    return standard > 0 && Number.isInteger(told) ? Number(told) : standard;
  });
  return Math.max(...generations);
}

/** The names of the methods that an experiment's students learn by. */
export function methodsIn(distill: {
  readonly method: string;
  readonly methods?: readonly { readonly name: string }[];
}): string[] {
  return distill.methods?.map(({ name }) => name) ?? [distill.method];
}

/** What they are called together: `kd`, or `kd+crd`. */
export function methodLabel(distill: Parameters<typeof methodsIn>[0]): string {
  return methodsIn(distill).join('+');
}
