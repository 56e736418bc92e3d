import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { heNormal } from './initialisers.ts';
import { conv2d, dense, flatten, maxPool2 } from './layers.ts';

/** The small network of the experiments: two 3x3 convolutions of 16 and 32 channels, each pooled, and 64 units. */
export const cnnS: Architecture = {
  leastSize: 4,
  build(weights, { inputShape: [height, width, channels], classes }) {
    const settings = { kernel: 3, bias: true, initialise: heNormal } as const;
    const conv1 = conv2d(weights, 'conv1', channels, 16, settings);
    const conv2 = conv2d(weights, 'conv2', 16, 32, settings);
    const pooled = Math.floor(height / 4) * Math.floor(width / 4);
    const fc1 = dense(weights, 'fc1', pooled * 32, 64);
    const fc2 = dense(weights, 'fc2', 64, classes);
    return (images, training) => {
      const preact1 = conv1(images, training);
      const stage1 = tf.relu(preact1);
      const preact2 = conv2(maxPool2(stage1), training);
      const stage2 = tf.relu(preact2);
      const embedding = tf.relu(fc1(flatten(maxPool2(stage2))));
      return { logits: fc2(embedding), features: { preact1, stage1, preact2, stage2, embedding } };
    };
  },
};
