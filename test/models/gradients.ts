import * as tf from '@tensorflow/tfjs';
import { expectClose } from '../support/tensors.ts';

/** A variable of seeded normal numbers. */
export function randomVariable<R extends tf.Rank>(shape: tf.ShapeMap[R], seed: number): tf.Variable<R> {
  return tf.tidy(() => tf.variable(tf.randomNormal<R>(shape, 0, 1, 'float32', seed)));
}

/**
 * Compares the gradients of `sum(w · output)`, `w` being fixed random numbers, with central differences, at every
 * element of every variable.
 */
export function expectGradients(
  output: () => tf.Tensor,
  variables: readonly tf.Variable[],
  tolerance = 5e-3,
): void {
  const loss = (): tf.Scalar => {
    const y = output();
    return tf.sum(tf.mul(y, tf.randomNormal(y.shape, 0, 1, 'float32', 99)));
  };
  const { value, grads } = tf.variableGrads(loss, [...variables]);
  value.dispose();
  const actual = variables.map((variable) => [...grads[variable.name]!.dataSync()]);
  tf.dispose(grads);
  for (const [i, variable] of variables.entries()) {
    expectClose(actual[i]!, centralDifferences(loss, variable), tolerance);
  }
}

function centralDifferences(loss: () => tf.Scalar, variable: tf.Variable): number[] {
  const step = 1e-2;
  const values = variable.dataSync().slice();
  const assign = (changed: Float32Array): void => {
    tf.tidy(() => variable.assign(tf.tensor(changed, variable.shape)));
  };
  const at = (index: number, value: number): number => {
    const changed = Float32Array.from(values);
    changed[index] = value;
    assign(changed);
    return tf.tidy(() => loss().dataSync()[0]!);
  };
  const slopes = Array.from(
    values,
    (value, i) =>
      (at(i, value + step) - at(i, value - step)) / (Math.fround(value + step) - Math.fround(value - step)),
  );
  assign(Float32Array.from(values));
  return slopes;
}
