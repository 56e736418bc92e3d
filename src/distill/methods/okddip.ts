import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { UsageError } from '../../errors.ts';
import { linearUniform } from '../../models/initialisers.ts';
import { createRandom } from '../../random.ts';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(3),
  reduction: z
    .number()
    .int()
    .positive()
    .default(8)
    .describe('by how much queries and keys are narrower than the embedding'),
});

/**
 * Diverse peers, the form of separate networks: each student pays attention to some of the peers more than to others,
 * sample by sample, `ceWeight · CE(z_a, y) + kdWeight · T² · KL(softmax(t_a / T) ‖ softmax(z_a / T))` with
 * `t_a = Σ_b α_ab z_b` and `α_ab = softmax_b(L(h_a) · E(h_b))` over all peers `b`, the student `a` included; `L` and `E`
 * are linear maps without bias of the embedding `h` to an eighth of its width.
 *
 * The divergence goes from target to student, is summed over the classes, and has the factor `T²`; mean over the batch.
 * As in the authors' code, a gradient goes through the target as well: it is what trains `L` and `E`, and reaches the
 * student's own `z_a` and `h_a` in it. What the others send is constant. The authors share `L` and `E` among the peers,
 * which would have to send each other gradients; here each student trains a pair of its own, and so gets the embeddings
 * as they are. They have one width: that of the student. The authors' group leader, a student that learns from the mean
 * of the logits and teaches nobody, is left out. They ramp the distillation up: `distill.rampUpSteps`.
 *
 * The gate of ONE (Lan et al. 2018, arXiv 1806.04606), which weights branches by features of the layers that they share,
 * is no method here: separate networks have no such layers, and without them its gate is this attention.
 *
 * @see Chen et al., "Online knowledge distillation with diverse peers", AAAI 2020, arXiv 1912.00350, section 3
 */
export const okddip: Method<z.infer<typeof options>> = {
  name: 'okddip',
  summary: 'diverse peers: attention to some of the peers more than to others, sample by sample',
  source: 'Chen et al. 2020, "Online Knowledge Distillation with Diverse Peers", arXiv 1912.00350, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  ensemble: () => 'apart',
  needs: () => ({ logits: true, features: [{ layer: 'embedding', encoder: 'vector@1' }] }),
  modules: ({ student, teacher, seed }, { reduction }): Modules => {
    const width = student.embedding?.[0];
    if (width === undefined) throw new UsageError('okddip: the model has no layer "embedding".');
    const theirs = teacher?.embedding?.[0];
    if (theirs !== width) {
      throw new UsageError(
        `okddip: peers need embeddings of one width, these have ${width} and ${theirs ?? 'none'}.`,
      );
    }
    const shape: [number, number] = [width, Math.max(1, Math.floor(width / reduction))];
    const linear = (name: string): tf.Variable => {
      const values = new Float32Array(shape[0] * shape[1]);
      linearUniform(values, shape, createRandom(seed, 'okddip', name));
      return tf.tidy(() => tf.variable(tf.tensor2d(values, shape)));
    };
    return {
      parameters: new Map(['query', 'key'].map((name) => [name, linear(name)])),
      buffers: new Map(),
    };
  },
  loss: ({ student, teacher, modules, options: { temperature: T } }) => {
    const [query, key] = ['query', 'key'].map((name) => modules.parameters.get(name) as tf.Tensor) as [
      tf.Tensor2D,
      tf.Tensor2D,
    ];
    const own = student.features.embedding as tf.Tensor2D;
    const others = teacher!.apart!;
    const embeddings = [own, ...others.map(({ encodings }) => encodings.embedding as tf.Tensor2D)];
    const logits = tf.stack([student.logits, ...others.map((each) => each.logits!)], 1);
    const keys = tf.stack(
      embeddings.map((embedding) => tf.matMul(embedding, key)),
      1,
    );
    const queries = tf.expandDims(tf.matMul(own, query), 1);
    const attention = tf.softmax(tf.sum(tf.mul(queries, keys), 2));
    const target = tf.sum(tf.mul(tf.expandDims(attention, 2), logits), 1) as tf.Tensor2D;
    return softenedDivergence(student.logits, target, T);
  },
};
