import * as tf from '@tensorflow/tfjs';
import { constant, heNormal, heNormalFanOut, type Initialiser } from './initialisers.ts';
import type { Weights } from './weights.ts';

/** A layer on maps `[batch, height, width, channels]`. Those that act alike in training and evaluation ignore the flag. */
export type MapLayer = (maps: tf.Tensor4D, training: boolean) => tf.Tensor4D;

export interface ConvSettings {
  /** Side of the square kernel; odd unless padding is 'valid'. */
  readonly kernel: number;
  /** 1 unless told. */
  readonly stride?: 1 | 2;
  /** 'same' (the default) pads `(kernel - 1) / 2` zeros on every side, whatever the stride, as PyTorch does. */
  readonly padding?: 'same' | 'valid';
  /** False unless told: a batch normalisation that follows has its own. */
  readonly bias?: boolean;
  /** {@link heNormalFanOut} unless told. */
  readonly initialise?: Initialiser;
}

/**
 * A convolution: `name.weight` `[kernel, kernel, inputs, outputs]` and, if asked for, `name.bias` `[outputs]`.
 */
export function conv2d(
  weights: Weights,
  name: string,
  inputs: number,
  outputs: number,
  settings: ConvSettings,
): MapLayer {
  const { kernel, stride = 1, padding = 'same', bias = false, initialise = heNormalFanOut } = settings;
  const weight = weights.parameter(`${name}.weight`, [kernel, kernel, inputs, outputs], initialise);
  const offset = bias ? weights.parameter(`${name}.bias`, [outputs], constant(0)) : undefined;
  return (maps) => {
    const { padded, pad } = padAlike(maps, kernel, stride, padding);
    const y = tf.conv2d(padded, weight as tf.Tensor4D, stride, pad);
    return offset ? tf.add(y, offset) : y;
  };
}

/** A 3x3 convolution of each channel by itself, without bias: `name.weight` `[3, 3, channels, 1]`. */
export function depthwiseConv2d(weights: Weights, name: string, channels: number, stride: 1 | 2): MapLayer {
  const weight = weights.parameter(`${name}.weight`, [3, 3, channels, 1], heNormalFanOut);
  return (maps) => {
    const { padded, pad } = padAlike(maps, 3, stride, 'same');
    return tf.depthwiseConv2d(padded, weight as tf.Tensor4D, stride, pad);
  };
}

/**
 * TensorFlow's 'same' agrees with PyTorch's symmetric padding at stride 1; at stride 2 it shifts the windows of even
 * sizes by one pixel. There, zeros are laid around the maps instead.
 */
function padAlike(
  maps: tf.Tensor4D,
  kernel: number,
  stride: number,
  padding: 'same' | 'valid',
): { padded: tf.Tensor4D; pad: 'same' | 'valid' } {
  if (padding === 'valid' || kernel === 1) return { padded: maps, pad: 'valid' };
  if (stride === 1) return { padded: maps, pad: 'same' };
  const side: [number, number] = [(kernel - 1) / 2, (kernel - 1) / 2];
  return { padded: tf.pad(maps, [[0, 0], side, side, [0, 0]]), pad: 'valid' };
}

/** A fully connected layer: `name.weight` `[inputs, outputs]`, `name.bias` `[outputs]`, zero at first. */
export function dense(
  weights: Weights,
  name: string,
  inputs: number,
  outputs: number,
  initialise: Initialiser = heNormal,
): (rows: tf.Tensor2D) => tf.Tensor2D {
  const weight = weights.parameter(`${name}.weight`, [inputs, outputs], initialise);
  const bias = weights.parameter(`${name}.bias`, [outputs], constant(0));
  return (rows) => tf.add(tf.matMul(rows, weight as tf.Tensor2D), bias);
}

/** The maximum of each 2x2 window; of an odd size, the last row or column is dropped. */
export function maxPool2(maps: tf.Tensor4D): tf.Tensor4D {
  return tf.maxPool(maps, 2, 2, 'valid');
}

/** The mean of each map: `[batch, height, width, channels]` to `[batch, channels]`. */
export function globalAveragePool(maps: tf.Tensor4D): tf.Tensor2D {
  return tf.mean(maps, [1, 2]);
}

/** Maps or images as rows, in the order height, width, channels. */
export function flatten(maps: tf.Tensor4D): tf.Tensor2D {
  return tf.reshape(maps, [maps.shape[0], -1]);
}
