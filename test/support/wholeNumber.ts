import { InvalidArgumentError } from 'commander';

/** Reads an argument of a command that checks something. A least of 1 keeps it from checking nothing, and passing. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least) return number;
    throw new InvalidArgumentError(`Expected a whole number of ${least} to 999999999.`);
  };
