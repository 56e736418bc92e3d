/**
 * Loaded before a program, gives it another wall clock: `DRILL_CLOCK` is by how many milliseconds it is off, or `jumps`
 * for one that goes an hour ahead and back again all the time. The monotonic clock stays as it is.
 */
const HOUR_MS = 3_600_000;
const { DRILL_CLOCK = '0' } = process.env;
const now = Date.now.bind(Date);
let looks = 0;

function offset(): number {
  if (DRILL_CLOCK !== 'jumps') return Number(DRILL_CLOCK);
  looks += 1;
  return looks % 2 === 0 ? HOUR_MS : -HOUR_MS;
}

class SkewedDate extends Date {
  constructor(...args: [] | [number | string | Date]) {
    super(...((args.length === 0 ? [now() + offset()] : args) as [number]));
  }
  static override now(): number {
    return now() + offset();
  }
}

globalThis.Date = SkewedDate as DateConstructor;
