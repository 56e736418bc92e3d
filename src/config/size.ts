import { UsageError } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/**
 * A size such as `64MiB`, in bytes.
 *
 * @param flag where it stands, for the error
 * @throws {UsageError} for anything else
 */
export function parseSize(flag: string, text: string): number {
  const [, digits, unit] = /^(\d+) ?(B|KiB|MiB|GiB)$/.exec(text.trim()) ?? [];
  const bytes = Number(digits) * (UNITS[unit ?? ''] ?? 0);
  if (bytes >= 1 && Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(`${flag}: expected a size such as 64MiB or 2GiB, got "${text}".`);
}
