import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { programPath } from '../../src/paths.ts';
import type { ProgramExtras } from './stage.ts';

/** Lets a program write down what its disk would hold after a power cut. @param disk the folder to write it to */
export const onDisk = (disk: string): ProgramExtras => ({
  env: { DRILL_DISK: disk },
  nodeFlags: ['--import', pathToFileURL(programPath('test/drills/powerCut.js')).href],
});

/** The power is back: nothing is in `folder` but what the disk of its program was sure to hold. */
export function restoreDisk(folder: string, disk: string): void {
  rmSync(folder, { recursive: true, force: true });
  for (const name of readdirSync(join(disk, 'folders'))) {
    const path = decodeURIComponent(name);
    if (path !== folder && !path.startsWith(`${folder}/`)) continue;
    mkdirSync(path, { recursive: true });
    const entries = JSON.parse(readFileSync(join(disk, 'folders', name), 'utf8')) as [string, string][];
    for (const [file, id] of entries) {
      const content = join(disk, 'files', id);
      // The name of a file may last, and nothing of what was written to it.
      writeFileSync(join(path, file), existsSync(content) ? readFileSync(content) : '');
    }
  }
}
