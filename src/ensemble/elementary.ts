/**
 * The exponential and the logarithm that ensembles take, to within 1e-9. They are the greater part of the cost of a
 * round; with these, it takes about half as long as with `Math.exp` and `Math.log`. Made of IEEE operations on tables,
 * both look up the nearest tabulated argument and correct by a short series.
 */

/** Tabulated arguments in each octave. */
const STEPS = 32;

/** The exponential is 0 from e^-x = 2^-64 on: probabilities that small are all the same to an ensemble. */
const EXP_OCTAVES = 64;
const EXP_STEP = Math.LN2 / STEPS;
const EXP_TABLE = Float64Array.from({ length: EXP_OCTAVES * STEPS }, (_, k) => Math.exp(-k * EXP_STEP));

/** `e^-x` for `x >= 0`. */
export function negativeExponential(x: number): number {
  const steps = x * (1 / EXP_STEP);
  if (steps >= EXP_OCTAVES * STEPS) return 0;
  const k = Math.trunc(steps);
  const r = k * EXP_STEP - x;
  return EXP_TABLE[k]! * (1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24)))));
}

/** The logarithm takes arguments from 2^-40 on, and below 2^16. */
const LOG_OCTAVES = 56;
export const LEAST_ARGUMENT = 2 ** -40;
/** Exponent and first 5 bits of the fraction, as a float64 has them in its upper word, of the least argument. */
const LOG_FIRST = (1023 - 40) * STEPS;
const logCenters = Array.from(
  { length: LOG_OCTAVES * STEPS },
  (_, k) => LEAST_ARGUMENT * 2 ** Math.floor(k / STEPS) * (1 + ((k % STEPS) + 0.5) / STEPS),
);
const LOG_TABLE = Float64Array.from(logCenters, Math.log);
const INVERSES = Float64Array.from(logCenters, (center) => 1 / center);

/** Which of a float64's two words holds its exponent: the second on a little-endian host. */
const UPPER = new Uint8Array(new Uint16Array([1]).buffer)[0]!;

/** Numbers from 2^-40 to 2^16 that logarithms are wanted of: these start from the bits of a number. */
export class LogarithmRow {
  readonly values: Float64Array<ArrayBuffer>;
  private readonly words: Uint32Array;

  constructor(length: number) {
    this.values = new Float64Array(length);
    this.words = new Uint32Array(this.values.buffer);
  }

  /** The natural logarithm of value `i`. */
  logarithm(i: number): number {
    const k = (this.words[2 * i + UPPER]! >>> 15) - LOG_FIRST;
    const r = this.values[i]! * INVERSES[k]! - 1;
    return LOG_TABLE[k]! + r * (1 - r * (1 / 2 - r * (1 / 3 - r * (1 / 4))));
  }
}
