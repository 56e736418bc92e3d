import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json, from the sources as well as from `dist/`. */
export const projectRoot: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/** The compiled entry point of a program, such as `coordinator/main.js`. */
export function programPath(name: string): string {
  return join(projectRoot, 'dist', name);
}

/** A folder of what can be fetched again: `$XDG_CACHE_HOME` (`~/.cache`)`/codistill`, and `names` below it. */
export function cachePath(...names: string[]): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'codistill', ...names);
}
