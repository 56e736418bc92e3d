import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { programPath } from '../src/paths.ts';
import { temporaryFolder } from './support/temporaryFolder.ts';

/** The test runner has an `import()` of its own: here it is that of Node.js, in a process that prints what came of it. */
const PROGRAM = `
const { importModule } = await import(${JSON.stringify(pathToFileURL(programPath('src/importModule.js')).href)});
const [what, file] = process.argv.slice(1);
const outcome = await importModule(what, file).then(
  (module) => ({ module: { ...module } }),
  ({ name, message, cause }) => ({ name, message, cause: cause instanceof Error }),
);
console.log(JSON.stringify(outcome));
`;

async function imported(what: string, file: string): Promise<unknown> {
  const args = ['--input-type=module', '-e', PROGRAM, what, file];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

async function moduleOf(text: string, name = 'mine.js'): Promise<string> {
  const file = join(await temporaryFolder(), name);
  writeFileSync(file, text);
  return file;
}

describe("a user's module", () => {
  it('is loaded by its path, from the working directory when that is how it is given', async () => {
    const file = await moduleOf('export default 7; export const other = 8;');
    const module = { default: 7, other: 8 };
    expect(await imported('method', file)).toEqual({ module });
    expect(await imported('method', relative('', file))).toEqual({ module });
  });

  it('may have a path with what means something in an address', async () => {
    const file = await moduleOf('export default 7;', 'a b#c?d%20.mjs');
    expect(await imported('model', file)).toEqual({ module: { default: 7 } });
  });

  it.each([
    ['export default {', 'Unexpected end of input'],
    ['throw new Error("no luck today");', 'no luck today'],
    ['import "./nowhere.js";', 'Cannot find module'],
  ])('that cannot be loaded is named with its kind and the reason: %s', async (text, reason) => {
    const file = await moduleOf(text);
    const message = expect.stringMatching(`^Could not load the method module ${file}: .*${reason}`);
    expect(await imported('method', file)).toEqual({ name: 'UsageError', message, cause: true });
  });

  it('that is not there is named', async () => {
    const file = join(await temporaryFolder(), 'absent.js');
    const message = expect.stringContaining(`Could not load the model module ${file}: Cannot find module`);
    expect(await imported('model', file)).toMatchObject({ name: 'UsageError', message });
  });
});
