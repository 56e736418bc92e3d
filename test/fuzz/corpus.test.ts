import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addToCorpus, caseOf, readCorpus, textOf } from './caseFiles.ts';
import { targets } from './targets.ts';

describe('what once failed', () => {
  it.each(readCorpus())('does not any more: $file', async ({ target: name, broke, case: one }) => {
    expect(broke.length).toBeGreaterThan(20);
    const target = targets.find((each) => each.name === name);
    await target!.check(one);
  });
});

describe('a file of the corpus', () => {
  it('gives back the case that it was made of', () => {
    const one = {
      bytes: Uint8Array.of(0, 255),
      numbers: [Number.NaN, -Infinity, -0, 1.5],
      text: '\ud800',
      none: null,
    };
    expect(caseOf(textOf(one))).toEqual(one);
    const folder = mkdtempSync(join(tmpdir(), 'codistill-corpus-'));
    try {
      addToCorpus('b', { target: 'frame', broke: 'everything', case: one }, folder);
      addToCorpus('a', { target: 'run', broke: 'nothing', case: [] }, folder);
      expect(readCorpus(folder)).toEqual([
        { file: 'a.json', target: 'run', broke: 'nothing', case: [] },
        { file: 'b.json', target: 'frame', broke: 'everything', case: one },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
