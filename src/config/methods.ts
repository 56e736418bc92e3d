/** What is to be known about the distillation methods before any of them is loaded. */
import { registry } from '../distill/registry.ts';
import { isModelPath } from '../models/names.ts';

/** Names of the distillation methods, as `distill.method` and `compare` accept them. */
export const METHODS: readonly string[] = Object.values(registry).flatMap((group) => Object.keys(group));

/** Whether a method learns from other peers. One in a module of the user's own may: only who loads it knows. */
export function asksPeers(method: string): boolean {
  return Object.hasOwn(registry.peers, method) || isModelPath(method);
}

/** How many students of each kind are trained one after the other, each taught by the one before; 0: just one, by itself. */
const GENERATIONS: Readonly<Record<string, number>> = { 'born-again': 2, 'tf-kd-self': 1 };

/** How many students come before the last one, as the option `generations` says. */
export function generationsOf(distill: {
  readonly method: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly methods?: readonly { readonly name: string }[];
}): number {
  const [generations = 0] = methodsIn(distill).flatMap((name) => GENERATIONS[name] ?? []);
  return generations > 0 && Number.isInteger(distill.options.generations)
    ? Number(distill.options.generations)
    : generations;
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
