import * as tf from '@tensorflow/tfjs';
import type { Model } from '../models/types.ts';

/** A second copy of a network whose weights follow the first as an exponential moving average. */
export interface EmaTeacher {
  /** Teacher logits `[batch, classes]`, in evaluation mode; owned by the caller. */
  predict(images: tf.Tensor4D): tf.Tensor2D;
  /**
   * Moves the average towards the student: `ema = φ · ema + (1 - φ) · w` with `φ = min(1 - 1/(step + 1), decay)`
   * (Tarvainen & Valpola 2017, arXiv 1703.01780), so that the first steps are forgotten soon.
   */
  update(step: number): void;
  /** The averaged weights and running statistics, for checkpoints; names as in the student. */
  readonly state: ReadonlyMap<string, tf.Variable>;
  dispose(): void;
}

/**
 * The average begins with the student's weights.
 *
 * @param student the network that trains
 * @param copy another instance of the same architecture; this takes it over
 * @param decay highest share of the average that is kept at a step, from 0 to below 1
 */
export function createEmaTeacher(student: Model, copy: Model, decay: number): EmaTeacher {
  const source = new Map([...student.parameters, ...student.buffers]);
  const state = new Map([...copy.parameters, ...copy.buffers]);
  tf.tidy(() => {
    for (const [name, average] of state) average.assign(tf.clone(source.get(name)!));
  });
  return {
    state,
    predict: (images) => tf.tidy(() => copy.forward(images, false).logits),
    update(step) {
      const keep = Math.min(1 - 1 / (step + 1), decay);
      tf.tidy(() => {
        for (const [name, average] of state) {
          average.assign(tf.add(tf.mul(average, keep), tf.mul(source.get(name)!, 1 - keep)));
        }
      });
    },
    dispose: () => copy.dispose(),
  };
}
