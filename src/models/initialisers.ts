import type { Random } from '../random.ts';
import { sizeFromShape } from '../sizeFromShape.ts';

/** Fills a weight of `shape` with initial values; in typed arrays, so that they are the same on every backend. */
export type Initialiser = (values: Float32Array, shape: readonly number[], random: Random) => void;

/** Size of the receptive field: the product of all axes but the last two (1 for a dense weight). */
function fieldOf(shape: readonly number[]): number {
  return sizeFromShape(shape.slice(0, -2));
}

const fanIn = (shape: readonly number[]): number => fieldOf(shape) * shape.at(-2)!;

/** A depthwise kernel `[h, w, channels, 1]` counts all its channels as outputs, as PyTorch does. */
const fanOut = (shape: readonly number[]): number =>
  fieldOf(shape) * (shape.at(-1) === 1 && shape.length === 4 ? shape.at(-2)! : shape.at(-1)!);

function fillNormal(values: Float32Array, deviation: number, random: Random): void {
  for (let i = 0; i < values.length; i++) values[i] = random.normal() * deviation;
}

/** N(0, 2 / fan-in): He et al., "Delving Deep into Rectifiers", 2015. */
export const heNormal: Initialiser = (values, shape, random) =>
  fillNormal(values, Math.sqrt(2 / fanIn(shape)), random);

/** N(0, 2 / fan-out): PyTorch's `kaiming_normal_(mode='fan_out')`, usual for residual networks. */
export const heNormalFanOut: Initialiser = (values, shape, random) =>
  fillNormal(values, Math.sqrt(2 / fanOut(shape)), random);

/** U(-1/sqrt(fan-in), 1/sqrt(fan-in)): what PyTorch gives a linear layer that nobody initialises. */
export const linearUniform: Initialiser = (values, shape, random) => {
  const bound = 1 / Math.sqrt(fanIn(shape));
  for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform() - 1) * bound;
};

/** N(0, deviation^2). */
export function normal(deviation: number): Initialiser {
  return (values, _shape, random) => fillNormal(values, deviation, random);
}

/** All elements equal. */
export function constant(value: number): Initialiser {
  return (values) => {
    values.fill(value);
  };
}
