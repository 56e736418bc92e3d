import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { heNormal } from './initialisers.ts';
import { conv2d, dense, flatten, maxPool2 } from './layers.ts';

/** LeNet-5 (LeCun et al., 1998) as it is taught today: rectifiers and max pooling for sigmoids and subsampling. */
export const lenet5: Architecture = {
  leastSize: 12,
  build(weights, { inputShape: [height, width, channels], classes }) {
    const settings = { kernel: 5, bias: true, initialise: heNormal } as const;
    const conv1 = conv2d(weights, 'conv1', channels, 6, settings);
    const conv2 = conv2d(weights, 'conv2', 6, 16, { ...settings, padding: 'valid' });
    const pooled = (size: number): number => Math.floor((Math.floor(size / 2) - 4) / 2);
    const fc1 = dense(weights, 'fc1', pooled(height) * pooled(width) * 16, 120);
    const fc2 = dense(weights, 'fc2', 120, 84);
    const fc3 = dense(weights, 'fc3', 84, classes);
    return (images, training) => {
      const preact1 = conv1(images, training);
      const stage1 = tf.relu(preact1);
      const preact2 = conv2(maxPool2(stage1), training);
      const stage2 = tf.relu(preact2);
      const embedding = tf.relu(fc2(tf.relu(fc1(flatten(maxPool2(stage2))))));
      return { logits: fc3(embedding), features: { preact1, stage1, preact2, stage2, embedding } };
    };
  },
};
