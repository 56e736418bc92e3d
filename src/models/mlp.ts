import * as tf from '@tensorflow/tfjs';
import type { Architecture } from './architecture.ts';
import { dense, flatten } from './layers.ts';

/** Two hidden layers of 256 and 128 rectified units. */
export const mlp: Architecture = {
  leastSize: 1,
  build(weights, { inputShape: [height, width, channels], classes }) {
    const fc1 = dense(weights, 'fc1', height * width * channels, 256);
    const fc2 = dense(weights, 'fc2', 256, 128);
    const fc3 = dense(weights, 'fc3', 128, classes);
    return (images) => {
      const embedding = tf.relu(fc2(tf.relu(fc1(flatten(images)))));
      return { logits: fc3(embedding), features: { embedding } };
    };
  },
};
