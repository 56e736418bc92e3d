/**
 * Exponentials and logarithms of whole rows, in place: about three times as fast as `Math.exp` and `Math.log`, which
 * would be most of the cost of a round, and made of IEEE operations alone, so that every engine computes the same bits.
 *
 * Both look up the nearest tabulated argument and correct by a short series; the error is below 1e-9.
 */

/** Tabulated arguments in each octave. */
const STEPS = 32;

/** e^-x is 0 from here on: 2^-64 is far below what any use of a probability can tell from 0. */
const EXP_OCTAVES = 64;
const EXP_STEP = Math.LN2 / STEPS;
const EXP_TABLE = Float64Array.from({ length: EXP_OCTAVES * STEPS }, (_, k) => Math.exp(-k * EXP_STEP));

/** Replaces each `x >= 0` by `e^-x`. */
export function negativeExponentials(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    const steps = x * (1 / EXP_STEP);
    if (steps >= EXP_TABLE.length) {
      values[i] = 0;
      continue;
    }
    const k = Math.trunc(steps);
    const r = k * EXP_STEP - x;
    values[i] = EXP_TABLE[k]! * (1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24)))));
  }
}

/** The smallest argument of `logarithms`, as an exponent of 2. */
const LOG_LEAST = -42;
/** Exponent and first 5 bits of the fraction, as a float64 has them in its upper word, of the smallest argument. */
const LOG_FIRST = (1023 + LOG_LEAST) * STEPS;
const LOG_CENTERS = Float64Array.from(
  { length: (1 - LOG_LEAST) * STEPS },
  (_, k) => 2 ** (LOG_LEAST + Math.floor(k / STEPS)) * (1 + ((k % STEPS) + 0.5) / STEPS),
);
const LOG_TABLE = LOG_CENTERS.map((center) => Math.log(center));
const LOG_INVERSES = LOG_CENTERS.map((center) => 1 / center);

/** Which of a float64's two words holds its exponent: the second on a little-endian host. */
const UPPER = new Uint8Array(new Uint16Array([1]).buffer)[0]!;

/** Numbers whose logarithms are wanted, together with a view of their bits. */
export class LogarithmRow {
  readonly values: Float64Array<ArrayBuffer>;
  readonly #words: Uint32Array;

  constructor(length: number) {
    this.values = new Float64Array(length);
    this.#words = new Uint32Array(this.values.buffer);
  }

  /** Replaces each `x`, from 2^-42 to 1, by its natural logarithm. */
  takeLogarithms(): void {
    const { values } = this;
    const words = this.#words;
    for (let i = 0; i < values.length; i++) {
      const k = (words[2 * i + UPPER]! >>> 15) - LOG_FIRST;
      const r = values[i]! * LOG_INVERSES[k]! - 1;
      values[i] = LOG_TABLE[k]! + r * (1 - r * (1 / 2 - r * (1 / 3 - r * (1 / 4))));
    }
  }
}
