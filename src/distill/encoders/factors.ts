import * as tf from '@tensorflow/tfjs';
import { linearUniform } from '../../models/initialisers.ts';
import { conv2d, type MapLayer } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { attention } from './attention.ts';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/** Slope of the rectifier below 0, in paraphraser and translator. */
export const SLOPE = 0.1;

/** How many channels the factors of a teacher's map have. */
export const factorChannels = (channels: number): number => Math.max(1, Math.floor(channels / 2));

/**
 * What a teacher's paraphraser makes of its map, reduced as attention is: the mean over the channels of the squared
 * factors, of length 1 for each sample, `[batch, height, width]`.
 *
 * The paraphraser is an auto-encoder that the teacher trains to reproduce its own map: three 3x3 convolutions to half as
 * many channels, three back, each followed by a leaky rectifier; without batch normalisation.
 *
 * @see Kim, Park & Kwak, "Paraphrasing complex network: network compression via factor transfer", NeurIPS 2018, arXiv
 * 1802.04977, section 3.1; reduced as in RepDistiller
 */
export const factors: Encoder = {
  name: 'factors@1',
  summary: 'what an auto-encoder of the map keeps, reduced over its channels',
  raw: false,
  payload: 'codec',
  encode() {
    throw new Error('internal: factors@1 is encoded by its trained modules');
  },
  shape(layer, batch) {
    expectRank('factors@1', layer, 3);
    return [batch, layer[0]!, layer[1]!];
  },
  trainable: {
    epochs: 30,
    learningRate: 0.01,
    modules(layer, seed) {
      expectRank('factors@1', layer, 3);
      const channels = layer[2]!;
      const few = factorChannels(channels);
      const weights = new Weights(seed);
      const chain = (name: string, widths: readonly number[]): MapLayer => {
        const layers = widths.slice(1).map((outputs, i) =>
          conv2d(weights, `${name}.${i}`, widths[i]!, outputs, {
            kernel: 3,
            bias: true,
            initialise: linearUniform,
          }),
        );
        return (maps, training) =>
          layers.reduce((x, convolve) => tf.leakyRelu(convolve(x, training), SLOPE), maps);
      };
      const encoder = chain('encoder', [channels, channels, few, few]);
      const decoder = chain('decoder', [few, few, channels, channels]);
      return {
        parameters: weights.parameters,
        buffers: weights.buffers,
        loss(map) {
          const rebuilt = decoder(encoder(map as tf.Tensor4D, true), true);
          return tf.mean(tf.square(tf.sub(rebuilt, map)), [1, 2, 3]);
        },
        encode: (map) => attention.encode(encoder(map as tf.Tensor4D, false)),
      };
    },
  },
};
