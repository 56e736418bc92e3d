import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { batchNorm } from './batchNorm.ts';
import { normal } from './initialisers.ts';
import { conv2d, dense, globalAveragePool, type MapLayer, maxPool2 } from './layers.ts';
import type { Weights } from './weights.ts';

/**
 * VGG with batch normalisation (Simonyan and Zisserman, 2015) for small images, with one linear layer for the three
 * of the original, as in RepDistiller's models/vgg.py. Maps are pooled after each of the first three blocks, and after
 * the fourth too when images have 64x64 pixels or more; the last maps are averaged, whatever their size.
 *
 * The features are numbered as there: `stage1` is the second block, the first one being the stem.
 *
 * @param convolutions number of 3x3 convolutions in each of the five blocks, which have 64, 128, 256, 512, 512 channels
 */
export function vgg(convolutions: readonly [number, number, number, number, number]): Architecture {
  return {
    leastSize: 8,
    build(weights, { inputShape: [height, width, channels], classes }) {
      const block0 = block(weights, 'block0', convolutions[0], channels, 64);
      const block1 = block(weights, 'block1', convolutions[1], 64, 128);
      const block2 = block(weights, 'block2', convolutions[2], 128, 256);
      const block3 = block(weights, 'block3', convolutions[3], 256, 512);
      const block4 = block(weights, 'block4', convolutions[4], 512, 512);
      const classifier = dense(weights, 'classifier', 512, classes, normal(0.01));
      const large = Math.min(height, width) >= 64;
      return (images, training) => {
        const stem = tf.relu(block0(images, training));
        const preact1 = block1(maxPool2(stem), training);
        const stage1 = tf.relu(preact1);
        const preact2 = block2(maxPool2(stage1), training);
        const stage2 = tf.relu(preact2);
        const preact3 = block3(maxPool2(stage2), training);
        const stage3 = tf.relu(preact3);
        const preact4 = block4(large ? maxPool2(stage3) : stage3, training);
        const stage4 = tf.relu(preact4);
        const embedding = globalAveragePool(stage4);
        const features = {
          ...{ preact1, stage1, preact2, stage2, preact3, stage3, preact4, stage4 },
          embedding,
        };
        return { logits: classifier(embedding), features };
      };
    },
  };
}

/**
 * `count` times convolution, normalisation and rectifier, all but the last rectifier; numbered as modules of one sequence,
 * three to a convolution.
 */
function block(weights: Weights, name: string, count: number, inputs: number, outputs: number): MapLayer {
  const [first, ...others] = Array.from({ length: count }, (_, i): MapLayer => {
    const from = i === 0 ? inputs : outputs;
    const conv = conv2d(weights, `${name}.${3 * i}`, from, outputs, { kernel: 3, bias: true });
    const bn = batchNorm(weights, `${name}.${3 * i + 1}`, outputs);
    return (maps, training) => bn(conv(maps, training), training);
  });
  return (maps, training) => others.reduce((x, layer) => layer(tf.relu(x), training), first!(maps, training));
}
