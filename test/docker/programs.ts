import { spawnSync } from 'node:child_process';
import { programPath } from '../../src/paths.ts';

const help = new Map<string, string>();

/** What a compiled program says about its options. @param program `coordinator` or `peer` */
function helpOf(program: string): string {
  let text = help.get(program);
  if (text === undefined) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [programPath(`${program}/main.js`), '--help'],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`${program} --help ended with ${status}: ${stderr}`);
    text = stdout;
    help.set(program, text);
  }
  return text;
}

/** Every environment variable that a program reads. */
export function variablesOf(program: string): string[] {
  return helpOf(program).match(/CODISTILL_\w+/g) ?? [];
}

/** Every flag of a program, such as `--port`. */
export function flagsOf(program: string): string[] {
  return helpOf(program).match(/--[a-z][a-z-]*/g) ?? [];
}
