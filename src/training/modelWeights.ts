import * as tf from '@tensorflow/tfjs';
import { DataError } from '../errors.ts';
import type { Model } from '../models/types.ts';
import type { SafeTensor } from './safetensors.ts';

/** Variables read from the device, in their order; their names get `prefix` in front. */
export async function readVariables(
  variables: ReadonlyMap<string, tf.Tensor>,
  prefix = '',
): Promise<Map<string, SafeTensor>> {
  const tensors = new Map<string, SafeTensor>();
  for (const [name, variable] of variables) {
    const { shape } = variable;
    tensors.set(
      prefix + name,
      dtypeOf(name, variable) === 'F32'
        ? { dtype: 'F32', shape, values: await variable.data<'float32'>() }
        : { dtype: 'I32', shape, values: await variable.data<'int32'>() },
    );
  }
  return tensors;
}

/** A model's trained parameters and running statistics, by name, as its weights file has them. */
export function weightsOf(model: Model): Map<string, tf.Variable> {
  return new Map([...model.parameters, ...model.buffers]);
}

/**
 * Gives a model the weights of a file.
 *
 * @throws {DataError} when names or shapes are not those of the model; it is left as it was
 */
export function assignWeights(model: Model, tensors: ReadonlyMap<string, SafeTensor>): void {
  assignVariables(weightsOf(model), tensors, model.name);
}

/**
 * Gives variables the values that a file has under their names.
 *
 * @param owner whose variables they are, for the message
 * @throws {DataError} when names, types or shapes differ; all variables are left as they were
 */
export function assignVariables(
  variables: ReadonlyMap<string, tf.Variable>,
  tensors: ReadonlyMap<string, SafeTensor>,
  owner: string,
): void {
  expectFits(variables, tensors, owner);
  tf.tidy(() => {
    for (const [name, variable] of variables) {
      const { values, shape } = tensors.get(name)!;
      variable.assign(tf.tensor(values, [...shape], variable.dtype));
    }
  });
}

/** @throws {DataError} when a file does not have the names, types and shapes of these variables, and nothing else */
export function expectFits(
  variables: ReadonlyMap<string, tf.Variable>,
  tensors: ReadonlyMap<string, SafeTensor>,
  owner: string,
): void {
  const unknown = [...tensors.keys()].find((name) => !variables.has(name));
  if (unknown !== undefined) throw new DataError(`The weights have "${unknown}", which ${owner} has not.`);
  for (const [name, variable] of variables) {
    const tensor = tensors.get(name);
    if (!tensor) throw new DataError(`The weights lack "${name}" of ${owner}.`);
    const dtype = dtypeOf(name, variable);
    if (tensor.dtype !== dtype || String(tensor.shape) !== String(variable.shape)) {
      throw new DataError(
        `"${name}": expected ${dtype} [${variable.shape}], as ${owner} has it, got ${tensor.dtype} [${tensor.shape}].`,
      );
    }
  }
}

function dtypeOf(name: string, { dtype }: tf.Tensor): SafeTensor['dtype'] {
  if (dtype === 'float32') return 'F32';
  if (dtype === 'int32') return 'I32';
  throw new Error(`"${name}": expected a variable of float32 or int32, got ${dtype}.`);
}
