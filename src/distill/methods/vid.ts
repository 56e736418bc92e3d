import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { constant, linearUniform } from '../../models/initialisers.ts';
import { conv2d, type MapLayer } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { type Chooser, chosenStages, mapShapes, stages } from '../layers.ts';
import { pooledAlike } from '../maps.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({
  layers: stages(),
  initialVariance: z.number().positive().default(5).describe('of the teacher about the regression, at first'),
});

/** Least variance. */
const EPSILON = 1e-5;

interface VidModules extends Modules {
  readonly regressors: Readonly<Record<string, MapLayer>>;
}

const chooser: Chooser = { method: 'vid', option: 'layers' };

/**
 * Variational information distillation: the student's maps shall tell much about the teacher's,
 * `ceWeight · CE(z, y) + kdWeight · Σ_stages mean(½ ((μ(f) - f_t)² / σ_c² + log σ_c²))`, where `μ` are three 1x1
 * convolutions with rectifiers between them, and `σ_c² = softplus(s_c) + 1e-5` is learned for each channel.
 *
 * It is the negative logarithm of a Gaussian, without its constant: it can be below 0. Mean over positions, channels and
 * batch, sum over the stages; no temperature. The larger map is averaged down.
 *
 * @see Ahn et al., "Variational information distillation for knowledge transfer", CVPR 2019, arXiv 1904.05835
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const vid: Method<z.infer<typeof options>, VidModules> = {
  name: 'vid',
  summary: "variational information distillation: the student's maps shall predict the teacher's",
  source: 'Ahn et al. 2019, "Variational Information Distillation", arXiv 1904.05835',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  needs: (chosen, layers) => ({
    logits: false,
    features: chosenStages(chooser, chosen.layers, layers).map((layer) => ({ layer, encoder: 'map@1' })),
  }),
  modules(setup, { layers, initialVariance }) {
    const weights = new Weights(setup.seed);
    const chosen = chosenStages(chooser, layers, Object.keys(setup.student));
    const regressors = chosen.map((layer) => {
      const { student, teacher } = mapShapes(setup, chooser, layer);
      // The inverse of the softplus.
      const scale = Math.log(Math.expm1(Math.max(initialVariance - EPSILON, EPSILON)));
      weights.parameter(`${layer}.log_scale`, [teacher[2]], constant(scale));
      return [layer, regressor(weights, layer, student[2], teacher[2])] as const;
    });
    return {
      parameters: weights.parameters,
      buffers: weights.buffers,
      regressors: Object.fromEntries(regressors),
    };
  },
  loss({ student, teacher, modules }) {
    const stages = Object.entries(teacher!.encodings).map(([layer, theirs]) => {
      const [own, target] = pooledAlike(student.features[layer] as tf.Tensor4D, theirs as tf.Tensor4D);
      const mean = modules.regressors[layer]!(own, true);
      const variance = tf.add(tf.softplus(modules.parameters.get(`${layer}.log_scale`)!), EPSILON);
      const density = tf.add(tf.div(tf.square(tf.sub(mean, target)), variance), tf.log(variance));
      return tf.mul(tf.mean<tf.Tensor1D>(density, [1, 2, 3]), 0.5);
    });
    return tf.addN(stages) as tf.Tensor1D;
  },
};

function regressor(weights: Weights, layer: string, inputs: number, outputs: number): MapLayer {
  const [first, ...others] = [inputs, outputs, outputs].map((channels, i) =>
    conv2d(weights, `${layer}.regressor.${i}`, channels, outputs, { kernel: 1, initialise: linearUniform }),
  );
  return (maps, training) =>
    others.reduce((x, convolve) => convolve(tf.relu(x), training), first!(maps, training));
}
