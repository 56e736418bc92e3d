import { describe, expect, it } from 'vitest';
import { tarEntries } from '../../src/datasets/tar.ts';
import { DataError } from '../../src/errors.ts';
import { tarArchive } from './support.ts';

describe('tarEntries', () => {
  it('yields the regular files and passes over folders', () => {
    const long = new Uint8Array(1300).fill(3);
    const archive = tarArchive({
      'a/': new Uint8Array(),
      'a/empty': new Uint8Array(),
      'a/long': long,
      b: Uint8Array.of(1),
    });
    const entries = [...tarEntries(archive)].map(({ name, bytes }) => [name, Uint8Array.from(bytes)]);
    expect(entries).toEqual([
      ['a/empty', new Uint8Array()],
      ['a/long', long],
      ['b', Uint8Array.of(1)],
    ]);
  });

  it('joins the name with its ustar prefix', () => {
    const archive = Buffer.from(tarArchive({ file: Uint8Array.of(1) }));
    archive.write('deep/folder', 345);
    expect([...tarEntries(archive)][0]!.name).toBe('deep/folder/file');
  });

  it('refuses an entry that goes beyond the end', () => {
    const archive = tarArchive({ file: new Uint8Array(1000) });
    expect(() => [...tarEntries(archive.subarray(0, 1024))]).toThrow(DataError);
  });

  it('refuses an entry of a negative size', () => {
    const archive = Buffer.from(tarArchive({ file: new Uint8Array(1000) }));
    archive.write('-1000\0', 124);
    expect(() => [...tarEntries(archive)]).toThrow('broken entry');
  });
});
