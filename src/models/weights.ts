import * as tf from '@tensorflow/tfjs';
import { createRandom } from '../random.ts';
import { sizeFromShape } from '../sizeFromShape.ts';
import type { Initialiser } from './initialisers.ts';

/**
 * The variables of one model, by the names they have in PyTorch (`layer1.0.bn1.running_mean`), in the order of their
 * making. TensorFlow.js knows them by names of its own, so models of the same architecture live side by side.
 */
export class Weights {
  readonly parameters = new Map<string, tf.Variable>();
  readonly buffers = new Map<string, tf.Variable>();
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A trained variable. Its values depend on the seed, its name and its shape only. */
  parameter(name: string, shape: readonly number[], initialise: Initialiser): tf.Variable {
    return this.#add(this.parameters, true, name, shape, initialise);
  }

  /** A variable that is not trained. */
  buffer(name: string, shape: readonly number[], initialise: Initialiser): tf.Variable {
    return this.#add(this.buffers, false, name, shape, initialise);
  }

  dispose(): void {
    for (const variable of [...this.parameters.values(), ...this.buffers.values()]) variable.dispose();
  }

  #add(
    to: Map<string, tf.Variable>,
    trainable: boolean,
    name: string,
    shape: readonly number[],
    initialise: Initialiser,
  ): tf.Variable {
    if (this.parameters.has(name) || this.buffers.has(name)) {
      throw new Error(`internal: a second weight named "${name}"`);
    }
    const values = new Float32Array(sizeFromShape(shape));
    initialise(values, shape, createRandom(this.#seed, 'init', name));
    const variable = tf.tidy(() => tf.variable(tf.tensor(values, [...shape]), trainable));
    to.set(name, variable);
    return variable;
  }
}
