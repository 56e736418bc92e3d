import * as tf from '@tensorflow/tfjs';
import { batchNorm } from '../models/batchNorm.ts';
import { linearUniform } from '../models/initialisers.ts';
import { conv2d, type MapLayer } from '../models/layers.ts';
import type { Weights } from '../models/weights.ts';
import { type Chooser, type MapShape, refuse, sizeOf } from './layers.ts';

/**
 * Brings a student's map to the size and the channels of its teacher's: a convolution, then batch normalisation. As in
 * RepDistiller, the convolution is
 *
 * - 3x3 with stride 2 where the student's map is twice as large,
 * - 4x4, transposed, with stride 2 where it is half as large,
 * - as large as the difference plus 1 otherwise, without padding: 1x1 for maps of one size.
 *
 * It has no bias, which the normalisation would take away again.
 *
 * Variables: `name.conv.weight`, and those of the normalisation, `name.bn`.
 *
 * @throws {UsageError} for a student's map that is smaller than its teacher's and not half as large
 */
export function convRegressor(
  weights: Weights,
  name: string,
  { student, teacher, chooser }: { student: MapShape; teacher: MapShape; chooser: Chooser },
): MapLayer {
  const [inputs, outputs] = [student[2], teacher[2]];
  const convolve = convolution(weights, `${name}.conv`, student, teacher);
  if (!convolve) {
    refuse(
      chooser,
      `a map of ${sizeOf(student)} cannot be brought to the teacher's ${sizeOf(teacher)}, only to its double or less`,
    );
  }
  const normalise = batchNorm(weights, `${name}.bn`, outputs);
  return (maps, training) => {
    if (maps.shape[3] !== inputs) throw new Error(`internal: ${name} is for ${inputs} channels`);
    return normalise(convolve(maps, training), training);
  };
}

function convolution(
  weights: Weights,
  name: string,
  [height, width, inputs]: MapShape,
  [toHeight, toWidth, outputs]: MapShape,
): MapLayer | null {
  if (height === 2 * toHeight && width === 2 * toWidth) {
    return conv2d(weights, name, inputs, outputs, { kernel: 3, stride: 2, initialise: linearUniform });
  }
  if (2 * height === toHeight && 2 * width === toWidth) {
    const weight = weights.parameter(`${name}.weight`, [4, 4, outputs, inputs], linearUniform) as tf.Variable;
    return (maps) =>
      tf.conv2dTranspose(maps, weight as tf.Tensor4D, [maps.shape[0], toHeight, toWidth, outputs], 2, 'same');
  }
  if (height < toHeight || width < toWidth) return null;
  const kernel = [1 + height - toHeight, 1 + width - toWidth, inputs, outputs];
  const weight = weights.parameter(`${name}.weight`, kernel, linearUniform);
  return (maps) => tf.conv2d(maps, weight as tf.Tensor4D, 1, 'valid');
}
