import { lookUp } from '../names.ts';
import type { AnyMethod } from './objective.ts';
import { registry } from './registry.ts';

const loads = Object.entries({ ...registry.none, ...registry.peers, ...registry.self });

/** Every distillation method by name, the control first, then by schema. */
export const methods: Readonly<Record<string, AnyMethod>> = Object.fromEntries(
  await Promise.all(loads.map(async ([name, load]) => [name, await load()] as const)),
);

/**
 * @param among the methods to look in: those of the registry, and a user's own by their path
 * @throws {UsageError} naming the known methods
 */
export function getMethod(name: string, among: Readonly<Record<string, AnyMethod>> = methods): AnyMethod {
  return lookUp('method', among, name);
}
