/** The values that a tensor of this shape has; a scalar, of no sizes, has one. */
export function sizeFromShape(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
