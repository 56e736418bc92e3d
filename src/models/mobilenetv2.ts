import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { batchNorm } from './batchNorm.ts';
import { normal } from './initialisers.ts';
import { conv2d, dense, depthwiseConv2d, globalAveragePool, type MapLayer } from './layers.ts';
import { sequence } from './sequence.ts';
import type { Weights } from './weights.ts';

/** Expansion, channels at full width, number of blocks and stride of the first, for each group of blocks. */
const groups = [
  [1, 16, 1, 1],
  [6, 24, 2, 1],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** Share of the channels of the original, except of the last 1280. */
const widthMultiplier = 0.5;
const embeddingWidth = 1280;

/**
 * MobileNetV2 (Sandler et al., 2018) of expansion 6 and half width for small images, as in RepDistiller's
 * models/mobilenetv2.py: plain rectifiers, and an expansion by a convolution in the first block too. The features are
 * outputs of the linear bottlenecks after the groups 1, 2, 4 and 6, not rectified.
 */
export const mobilenetv2: Architecture = {
  leastSize: 1,
  build(weights, { inputShape: [, , channels], classes }) {
    const stem = 32 * widthMultiplier;
    const conv1 = convBnRelu(weights, 'conv1', channels, stem, 3, 2);
    let inputs = stem;
    const blocks = groups.map(([expansion, width, count, stride], g) => {
      const outputs = width * widthMultiplier;
      return sequence(count, (i) => {
        const block = invertedResidual(
          weights,
          `blocks.${g}.${i}.conv`,
          inputs,
          outputs,
          expansion,
          i === 0 ? stride : 1,
        );
        inputs = outputs;
        return block;
      });
    });
    const conv2 = convBnRelu(weights, 'conv2', inputs, embeddingWidth, 1, 1);
    const classifier = dense(weights, 'classifier.0', embeddingWidth, classes, normal(0.01));
    return (images, training) => {
      const through = (x: tf.Tensor4D, from: number, to: number): tf.Tensor4D =>
        blocks.slice(from, to + 1).reduce((maps, block) => block(maps, training), x);
      const stage1 = through(conv1(images, training), 0, 1);
      const stage2 = through(stage1, 2, 2);
      const stage3 = through(stage2, 3, 4);
      const stage4 = through(stage3, 5, 6);
      const embedding = globalAveragePool(conv2(stage4, training));
      // A linear bottleneck ends without a rectifier: what would go into one is the same maps.
      const features = {
        ...{ preact1: tf.clone(stage1), stage1, preact2: tf.clone(stage2), stage2 },
        ...{ preact3: tf.clone(stage3), stage3, preact4: tf.clone(stage4), stage4 },
        embedding,
      };
      return { logits: classifier(embedding), features };
    };
  },
};

function convBnRelu(
  weights: Weights,
  name: string,
  inputs: number,
  outputs: number,
  kernel: number,
  stride: 1 | 2,
): MapLayer {
  const conv = conv2d(weights, `${name}.0`, inputs, outputs, { kernel, stride });
  const bn = batchNorm(weights, `${name}.1`, outputs);
  return (maps, training) => tf.relu(bn(conv(maps, training), training));
}

/** Widens by a 1x1 convolution, filters each channel, narrows by a 1x1 convolution; adds its input if the shape stays. */
function invertedResidual(
  weights: Weights,
  name: string,
  inputs: number,
  outputs: number,
  expansion: number,
  stride: 1 | 2,
): MapLayer {
  const inner = inputs * expansion;
  const expand = conv2d(weights, `${name}.0`, inputs, inner, { kernel: 1 });
  const bn1 = batchNorm(weights, `${name}.1`, inner);
  const filter = depthwiseConv2d(weights, `${name}.3`, inner, stride);
  const bn2 = batchNorm(weights, `${name}.4`, inner);
  const project = conv2d(weights, `${name}.6`, inner, outputs, { kernel: 1 });
  const bn3 = batchNorm(weights, `${name}.7`, outputs);
  return (x, training) => {
    const widened = tf.relu(bn1(expand(x, training), training));
    const filtered = tf.relu(bn2(filter(widened, training), training));
    const narrowed = bn3(project(filtered, training), training);
    return stride === 1 && inputs === outputs ? tf.add(x, narrowed) : narrowed;
  };
}
