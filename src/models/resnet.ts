import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { batchNorm } from './batchNorm.ts';
import { linearUniform } from './initialisers.ts';
import { conv2d, dense, globalAveragePool, type MapLayer } from './layers.ts';
import type { Weights } from './weights.ts';

/**
 * Residual networks for small images (He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2),
 * with projections where the shape changes, as in RepDistiller's models/resnet.py.
 *
 * @param depth 6n + 2: three stages of n blocks of two convolutions, the stem and the classifier
 * @param widths channels of the stem and of the three stages
 */
export function resnet(depth: number, widths: readonly [number, number, number, number]): Architecture {
  const blocks = (depth - 2) / 6;
  const [stem, first, second, third] = widths;
  return {
    leastSize: 1,
    build(weights, { inputShape: [, , channels], classes }) {
      const conv1 = conv2d(weights, 'conv1', channels, stem, { kernel: 3 });
      const bn1 = batchNorm(weights, 'bn1', stem);
      const layer1 = stage(weights, 'layer1', blocks, stem, first, 1);
      const layer2 = stage(weights, 'layer2', blocks, first, second, 2);
      const layer3 = stage(weights, 'layer3', blocks, second, third, 2);
      const fc = dense(weights, 'fc', third, classes, linearUniform);
      return (images, training) => {
        const preact1 = layer1(tf.relu(bn1(conv1(images, training), training)), training);
        const stage1 = tf.relu(preact1);
        const preact2 = layer2(stage1, training);
        const stage2 = tf.relu(preact2);
        const preact3 = layer3(stage2, training);
        const stage3 = tf.relu(preact3);
        const embedding = globalAveragePool(stage3);
        const features = { preact1, stage1, preact2, stage2, preact3, stage3, embedding };
        return { logits: fc(embedding), features };
      };
    },
  };
}

/** `blocks` basic blocks, the last one not rectified; the first one changes the number of channels and, by its stride, the size. */
function stage(
  weights: Weights,
  name: string,
  blocks: number,
  inputs: number,
  outputs: number,
  stride: 1 | 2,
): MapLayer {
  const [first, ...others] = Array.from({ length: blocks }, (_, i) =>
    basicBlock(weights, `${name}.${i}`, i === 0 ? inputs : outputs, outputs, i === 0 ? stride : 1),
  );
  return (maps, training) => others.reduce((x, block) => block(tf.relu(x), training), first!(maps, training));
}

/** `bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)`, to be rectified. */
function basicBlock(
  weights: Weights,
  name: string,
  inputs: number,
  outputs: number,
  stride: 1 | 2,
): MapLayer {
  const conv1 = conv2d(weights, `${name}.conv1`, inputs, outputs, { kernel: 3, stride });
  const bn1 = batchNorm(weights, `${name}.bn1`, outputs);
  const conv2 = conv2d(weights, `${name}.conv2`, outputs, outputs, { kernel: 3 });
  const bn2 = batchNorm(weights, `${name}.bn2`, outputs);
  const shortcut =
    stride === 1 && inputs === outputs ? undefined : projection(weights, name, inputs, outputs, stride);
  return (x, training) => {
    const inner = tf.relu(bn1(conv1(x, training), training));
    const residual = bn2(conv2(inner, training), training);
    return tf.add(residual, shortcut ? shortcut(x, training) : x);
  };
}

function projection(
  weights: Weights,
  block: string,
  inputs: number,
  outputs: number,
  stride: 1 | 2,
): MapLayer {
  const conv = conv2d(weights, `${block}.downsample.0`, inputs, outputs, { kernel: 1, stride });
  const bn = batchNorm(weights, `${block}.downsample.1`, outputs);
  return (x, training) => bn(conv(x, training), training);
}
