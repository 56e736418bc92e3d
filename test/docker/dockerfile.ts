import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../src/paths.ts';

export interface Instruction {
  /** Such as `COPY`. */
  readonly name: string;
  readonly rest: string;
  /** Of the `FROM` above it; empty above the first. */
  readonly stage: string;
}

/** The text of a file in `docker/`. */
export function readDocker(name: string): string {
  return readFileSync(join(projectRoot, 'docker', name), 'utf8');
}

/** The instructions of the Dockerfile, each with its continuation lines. */
export function instructions(text = readDocker('Dockerfile')): Instruction[] {
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  let stage = '';
  return lines.map((line) => {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') stage = / AS (\S+)$/.exec(rest)?.[1] ?? '';
    return { name, rest, stage };
  });
}

/** The values of the `ARG`s above the first stage. */
export function globalArguments(): Record<string, string> {
  const found = instructions().filter(({ name, stage }) => name === 'ARG' && stage === '');
  return Object.fromEntries(found.map(({ rest }) => rest.split('=') as [string, string]));
}

/** What `FROM` names in each stage, with its arguments replaced by `values`. */
export function parents(values: Readonly<Record<string, string>>): Map<string, string> {
  const replace = (text: string): string => text.replace(/\$\{(\w+)\}/g, (_, name) => values[name] ?? '');
  const froms = instructions().filter(({ name }) => name === 'FROM');
  return new Map(froms.map(({ rest, stage }) => [stage, replace(rest.split(' ')[0]!)]));
}

/** A stage with all that it is `FROM`, the last first. */
export function lineage(stage: string, values: Readonly<Record<string, string>>): string[] {
  const from = parents(values);
  const names = [stage];
  for (const name of names) {
    const parent = from.get(name);
    if (parent !== undefined && from.has(parent)) names.push(parent);
  }
  return names;
}
