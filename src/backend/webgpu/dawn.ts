import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { projectRoot } from '../../paths.ts';

/** WebGPU for Node.js (Dawn). Its 50 MB are fetched only where a GPU is seen. */
export const PACKAGE = 'webgpu';

/** The part of it that is used here. */
interface Dawn {
  /** @param options such as `adapter=` and part of an adapter's name */
  create(options: readonly string[]): object;
  /** Constructors and constants that browsers have as globals. */
  readonly globals: object;
}

/** Where the installed package is; `null` when it is not. */
export function packagePath(): string | null {
  try {
    return createRequire(import.meta.url).resolve(PACKAGE);
  } catch {
    return null;
  }
}

/** The command that installs the version that this one was tested with. */
export function installCommand(): string {
  const { config } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  return `npm install --no-save ${PACKAGE}@${config[PACKAGE]}`;
}

let exposed = false;

/**
 * Gives this process what a browser has: `navigator.gpu`, and WebGPU's globals.
 *
 * @param adapter name of the only adapter that is to be found; the first call's counts
 */
export async function exposeGpu(adapter: string): Promise<void> {
  // A second one would take the first one's place, whose device is still in use.
  if (exposed) return;
  exposed = true;
  const { create, globals } = (await import(packagePath()!)) as Dawn;
  Object.assign(globalThis, globals);
  // Node.js has no `navigator` before version 21.
  if (!globalThis.navigator)
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  Object.defineProperty(globalThis.navigator, 'gpu', {
    value: create([`adapter=${adapter}`]),
    configurable: true,
  });
}
