import type { Variable } from '@tensorflow/tfjs';
import { type AdamOptions, createAdam } from './adam.ts';
import type { Optimizer } from './optimizer.ts';
import { createSgd, type SgdOptions } from './sgd.ts';

/** The section `training.optimizer` of an experiment, as far as it decides how a step is taken. */
export type OptimizerSettings =
  | ({ readonly name: 'sgd' } & SgdOptions)
  | ({ readonly name: 'adam' | 'adamw' } & Omit<AdamOptions, 'decoupled'>);

/** @param parameters by name, in a fixed order */
export function createOptimizer(
  parameters: ReadonlyMap<string, Variable>,
  settings: OptimizerSettings,
): Optimizer {
  return settings.name === 'sgd'
    ? createSgd(parameters, settings)
    : createAdam(parameters, { ...settings, decoupled: settings.name === 'adamw' });
}
