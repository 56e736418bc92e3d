import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { type Chooser, chosenLayers, vectorLayer } from '../layers.ts';
import { weight } from '../options.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  layer: vectorLayer(),
  distance: weight(25).describe('weight of the distances between two samples'),
  angle: weight(50).describe('weight of the angles between three samples'),
});

/** Squared distances up to this one are those of the same point. */
const SAME = 1e-12;

const chooser: Chooser = { method: 'rkd', option: 'layer' };

/**
 * Relational distillation: the samples shall lie to each other as they do for the teacher,
 * `ceWeight · CE(z, y) + kdWeight · (distance · mean_{ij} h(d_ij - d^t_ij) + angle · mean_{ijk} h(a_ijk - a^t_ijk))`.
 *
 * `d_ij` is the distance of two embeddings divided by the mean distance of the batch, `a_ijk` the cosine of the angle at
 * sample `i` between `j` and `k`, and `h` Huber's function, `x² / 2` up to 1 and `|x| - ½` beyond. Means are over all
 * pairs and triples, those of a sample with itself, which are 0, included. Row `i` of the loss holds the pairs and the
 * angles of sample `i`. No temperature.
 *
 * @see Park et al., "Relational knowledge distillation", CVPR 2019, arXiv 1904.05068, section 3
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const rkd: Method<z.infer<typeof options>> = {
  name: 'rkd',
  summary: 'relational: distances and angles between the samples as for the teacher',
  source: 'Park et al. 2019, "Relational Knowledge Distillation", arXiv 1904.05068, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  wholeBatch: true,
  needs: ({ layer }, layers) => ({
    logits: false,
    features: chosenLayers(chooser, [layer], layers).map((each) => ({ layer: each, encoder: 'vector@1' })),
  }),
  loss({ student, teacher, options: { layer, distance, angle } }) {
    const own = relations(student.features[layer] as tf.Tensor2D);
    const theirs = relations(teacher!.encodings[layer] as tf.Tensor2D);
    const distances = tf.mean<tf.Tensor1D>(huber(tf.sub(own.distances, theirs.distances)), 1);
    const angles = tf.mean<tf.Tensor1D>(huber(tf.sub(own.angles, theirs.angles)), [1, 2]);
    return tf.add(tf.mul(distances, distance), tf.mul(angles, angle));
  },
};

/** Distances `[batch, batch]` and cosines of angles `[batch, batch, batch]`, by the sample at the vertex first. */
function relations(rows: tf.Tensor2D): { distances: tf.Tensor; angles: tf.Tensor } {
  const [batch] = rows.shape;
  const differences = tf.sub(tf.expandDims(rows, 0), tf.expandDims(rows, 1));
  const squares = tf.sum(tf.square(differences), 2);
  // A step has a gradient, 0, and a comparison has none.
  const apart = tf.step(tf.sub(squares, SAME));
  const lengths = tf.sqrt(tf.maximum(squares, SAME));
  const others = tf.sub(1, tf.eye(batch));
  const distances = tf.mul(lengths, others);
  const mean = tf.div(tf.sum(distances), Math.max(1, batch * (batch - 1)));
  // No direction between points that are the same.
  const inverse = tf.div(apart, lengths);
  const directions = tf.mul(differences, tf.expandDims(inverse, 2));
  return {
    distances: tf.div(distances, tf.maximum(mean, Math.sqrt(SAME))),
    angles: tf.matMul(directions, directions, false, true),
  };
}

/** `x² / 2` up to 1 and `|x| - ½` beyond, without a case that has no gradient. */
function huber(x: tf.Tensor): tf.Tensor {
  const near = tf.clipByValue(x, -1, 1);
  return tf.mul(near, tf.sub(x, tf.mul(near, 0.5)));
}
