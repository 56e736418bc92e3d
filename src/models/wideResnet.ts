import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { batchNorm } from './batchNorm.ts';
import { linearUniform } from './initialisers.ts';
import { conv2d, dense, globalAveragePool, type MapLayer } from './layers.ts';
import { sequence } from './sequence.ts';
import type { Weights } from './weights.ts';

/**
 * Wide residual networks (Zagoruyko and Komodakis, 2016) as in RepDistiller's models/wrn.py. The blocks normalise
 * before they convolve, so the maps between stages, which are the features `stage`, are sums not yet
 * rectified; `preact` is what the next block, or the head, makes of them before its rectifier.
 *
 * @param depth 6n + 4: three stages of n blocks of two convolutions, the stem, two projections and the classifier
 * @param widening the stages have 16, 32 and 64 times as many channels
 */
export function wideResnet(depth: number, widening: number): Architecture {
  const blocks = (depth - 4) / 6;
  const widths = [16 * widening, 32 * widening, 64 * widening] as const;
  return {
    leastSize: 1,
    build(weights, { inputShape: [, , channels], classes }) {
      const conv1 = conv2d(weights, 'conv1', channels, 16, { kernel: 3 });
      const block1 = stage(weights, 'block1', blocks, 16, widths[0], 1);
      const block2 = stage(weights, 'block2', blocks, widths[0], widths[1], 2);
      const block3 = stage(weights, 'block3', blocks, widths[1], widths[2], 2);
      const bn1 = batchNorm(weights, 'bn1', widths[2]);
      const fc = dense(weights, 'fc', widths[2], classes, linearUniform);
      return (images, training) => {
        const stem = conv1(images, training);
        const stage1 = block1.transform(stem, block1.normalise(stem, training), training);
        const preact1 = block2.normalise(stage1, training);
        const stage2 = block2.transform(stage1, preact1, training);
        const preact2 = block3.normalise(stage2, training);
        const stage3 = block3.transform(stage2, preact2, training);
        const preact3 = bn1(stage3, training);
        const embedding = globalAveragePool(tf.relu(preact3));
        const features = { stage1, preact1, stage2, preact2, stage3, preact3, embedding };
        return { logits: fc(embedding), features };
      };
    },
  };
}

/** A block, or several, in two parts: between them are the maps that the next rectifier gets. */
interface PreactivationBlock {
  readonly normalise: MapLayer;
  /** @param normalised `maps`, by `normalise` */
  transform(maps: tf.Tensor4D, normalised: tf.Tensor4D, training: boolean): tf.Tensor4D;
}

function stage(
  weights: Weights,
  name: string,
  blocks: number,
  inputs: number,
  outputs: number,
  stride: 1 | 2,
): PreactivationBlock {
  const first = preactivationBlock(weights, `${name}.layer.0`, inputs, outputs, stride);
  const others = sequence(blocks - 1, (i) => {
    const block = preactivationBlock(weights, `${name}.layer.${i + 1}`, outputs, outputs, 1);
    return (x, training) => block.transform(x, block.normalise(x, training), training);
  });
  return {
    normalise: first.normalise,
    transform: (x, normalised, training) => others(first.transform(x, normalised, training), training),
  };
}

/** `conv2(relu(bn2(conv1(a)))) + x` with `a = relu(bn1(x))`; where the shape changes, `+ convShortcut(a)` instead. */
function preactivationBlock(
  weights: Weights,
  name: string,
  inputs: number,
  outputs: number,
  stride: 1 | 2,
): PreactivationBlock {
  const normalise = batchNorm(weights, `${name}.bn1`, inputs);
  const conv1 = conv2d(weights, `${name}.conv1`, inputs, outputs, { kernel: 3, stride });
  const bn2 = batchNorm(weights, `${name}.bn2`, outputs);
  const conv2 = conv2d(weights, `${name}.conv2`, outputs, outputs, { kernel: 3 });
  const shortcut =
    inputs === outputs
      ? undefined
      : conv2d(weights, `${name}.convShortcut`, inputs, outputs, { kernel: 1, stride });
  return {
    normalise,
    transform(x, normalised, training) {
      const activated = tf.relu(normalised);
      const inner = tf.relu(bn2(conv1(activated, training), training));
      return tf.add(conv2(inner, training), shortcut ? shortcut(activated, training) : x);
    },
  };
}
