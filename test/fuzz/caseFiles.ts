import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../src/paths.ts';

/** A case that once failed. */
export interface CorpusEntry {
  readonly target: string;
  /** What it once broke, in a sentence. */
  readonly broke: string;
  readonly case: unknown;
}

export const CORPUS = join(projectRoot, 'test', 'fuzz', 'corpus');

/** Text of a case: JSON, with what JSON lacks as `{"$bin": hex}` and `{"$number": "NaN"}`. */
export function textOf(value: unknown): string {
  return JSON.stringify(
    value,
    (_, each) => {
      if (each instanceof Uint8Array) return { $bin: Buffer.from(each).toString('hex') };
      const lost = typeof each === 'number' && (!Number.isFinite(each) || Object.is(each, -0));
      return lost ? { $number: Object.is(each, -0) ? '-0' : String(each) } : each;
    },
    2,
  );
}

/** The value of such a text. */
export function caseOf(text: string): unknown {
  return JSON.parse(text, (_, each) => {
    if (typeof each?.$bin === 'string') return Uint8Array.from(Buffer.from(each.$bin, 'hex'));
    return typeof each?.$number === 'string' ? Number(each.$number) : each;
  });
}

/** The names of the corpus' files, and what is in them. */
export function readCorpus(folder = CORPUS): (CorpusEntry & { readonly file: string })[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({ file, ...(caseOf(readFileSync(join(folder, file), 'utf8')) as CorpusEntry) }));
}

/** @returns the path of the new file */
export function addToCorpus(name: string, entry: CorpusEntry, folder = CORPUS): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, `${textOf(entry)}\n`);
  return path;
}
