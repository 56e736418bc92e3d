import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { locateTensorflow } from '../../../src/backend/tensorflow/locate.ts';
import { UsageError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const HEADER = join('include', 'tensorflow', 'c', 'eager', 'c_api.h');

/** A folder with empty files of these names. */
async function folderWith(...names: string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), '');
  }
  return folder;
}

describe('locateTensorflow', () => {
  it.each([
    ['the package itself', ''],
    ['the folder it is installed in', 'tensorflow'],
    ['a virtual environment', 'lib/python3.11/site-packages/tensorflow'],
  ])('finds a Python package in %s', async (_, place) => {
    const names = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
    const folder = await folderWith(...[...names, HEADER].map((name) => join(place, name)));
    expect(locateTensorflow(folder)).toEqual({
      libraries: names.map((name) => join(folder, place, name)),
      include: join(folder, place, 'include'),
    });
  });

  it('finds an unpacked C library', async () => {
    const names = ['lib/libtensorflow.so.2', 'lib/libtensorflow_framework.so.2'];
    const folder = await folderWith(...names, HEADER);
    expect(locateTensorflow(folder).libraries).toEqual(names.map((name) => join(folder, name)));
  });

  it('names the places it looked at when something is missing', async () => {
    const folder = await folderWith('libtensorflow_cc.so.2', 'libtensorflow_framework.so.2');
    expect(() => locateTensorflow(folder)).toThrow(UsageError);
    expect(() => locateTensorflow(folder)).toThrow(`in one of ${folder}, ${join(folder, 'tensorflow')}.`);
  });
});
