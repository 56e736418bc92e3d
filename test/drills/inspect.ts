import { pathToFileURL } from 'node:url';
import { programPath } from '../../src/paths.ts';
import type { Program } from './programs.ts';
import type { ProgramExtras } from './stage.ts';
import type { Usage } from './usage.ts';

/** Lets a program tell what it holds. @param tensors whether it has any */
export const inspected = (tensors: boolean): ProgramExtras => ({
  ...(tensors && { env: { DRILL_TENSORS: '1' } }),
  nodeFlags: ['--expose-gc', '--import', pathToFileURL(programPath('test/drills/usage.js')).href],
});

/** What an inspected program holds now, without what nobody needs any more. */
export function usageOf({ child }: Program): Promise<Usage> {
  return new Promise((resolve) => {
    child.once('message', (message) => resolve((message as { usage: Usage }).usage));
    child.send('usage');
  });
}
