import { lookUp } from '../names.ts';
import type { AnyMethod } from './objective.ts';
import { registry } from './registry.ts';

const loads = Object.entries({ ...registry.none, ...registry.peers, ...registry.self });

/** Every distillation method by name, the control first, then by schema. */
export const methods: Readonly<Record<string, AnyMethod>> = Object.fromEntries(
  await Promise.all(loads.map(async ([name, load]) => [name, await load()] as const)),
);

/** @throws {UsageError} naming the known methods */
export function getMethod(name: string): AnyMethod {
  return lookUp('method', methods, name);
}
