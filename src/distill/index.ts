import { lookUp } from '../names.ts';
import { dml } from './dml.ts';
import { independent } from './independent.ts';
import { selfEma } from './selfEma.ts';
import type { Method } from './types.ts';

/** Every distillation method by name. */
export const methods: Readonly<Record<string, Method>> = {
  independent,
  dml,
  'self-ema': selfEma,
};

/** @throws {UsageError} naming the known methods */
export function getMethod(name: string): Method {
  return lookUp('method', methods, name);
}
