import * as tf from '@tensorflow/tfjs';
import { DataError } from '../errors.ts';
import type { Model } from '../models/types.ts';
import type { SafeTensor } from './safetensors.ts';

/** Variables read from the device, in their order; their names get `prefix` in front. */
export async function readVariables(
  variables: ReadonlyMap<string, tf.Variable>,
  prefix = '',
): Promise<Map<string, SafeTensor>> {
  const tensors = new Map<string, SafeTensor>();
  for (const [name, variable] of variables) {
    const values = await variable.data<'float32'>();
    tensors.set(prefix + name, { dtype: 'F32', shape: variable.shape, values });
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
  const variables = weightsOf(model);
  const unknown = [...tensors.keys()].find((name) => !variables.has(name));
  if (unknown !== undefined)
    throw new DataError(`The weights have "${unknown}", which ${model.name} has not.`);
  for (const [name, variable] of variables) {
    const tensor = tensors.get(name);
    if (!tensor) throw new DataError(`The weights lack "${name}" of ${model.name}.`);
    if (tensor.dtype !== 'F32' || String(tensor.shape) !== String(variable.shape)) {
      throw new DataError(
        `"${name}": expected F32 [${variable.shape}], as ${model.name} has it, got ${tensor.dtype} [${tensor.shape}].`,
      );
    }
  }
  tf.tidy(() => {
    for (const [name, variable] of variables) {
      const { values, shape } = tensors.get(name)!;
      variable.assign(tf.tensor(values, [...shape], 'float32'));
    }
  });
}
