import { readdir, readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { messageOf, UsageError } from '../errors.ts';
import { suggestion } from '../names.ts';
import { projectRoot } from '../paths.ts';
import { problemsOf } from './problems.ts';
import { type Experiment, experimentSchema } from './schema.ts';

/** One value that takes the place of the file's. */
export interface Override {
  /** Its key, such as `['data', 'labelNoise']`. */
  readonly path: readonly string[];
  readonly value: unknown;
  /** Where it came from, for messages: `--label-noise`, or `CODISTILL_LABEL_NOISE`. */
  readonly origin: string;
}

export interface LoadedExperiment {
  readonly experiment: Experiment;
  /** The file it was read from, for people; undefined when all is defaults and overrides. */
  readonly source: string | undefined;
}

/** A parsed file: plain values, and where each key stands. */
interface Parsed {
  readonly values: unknown;
  /** `quickstart.yaml:7`: the line of a key, or of the nearest one above it that is in the file. */
  place(path: readonly PropertyKey[]): string;
}

const experimentsFolder = join(projectRoot, 'src', 'experiments');

/**
 * Reads an experiment file, puts `overrides` into it and fills in the defaults.
 *
 * @param nameOrPath a path, or the bare name of a ready experiment, such as `quickstart`; undefined for no file
 * @throws {UsageError} listing everything that is wrong, a line each, with the place in the file or the origin
 */
export async function loadExperiment(
  nameOrPath: string | undefined,
  overrides: readonly Override[] = [],
): Promise<LoadedExperiment> {
  const source = nameOrPath === undefined ? undefined : await locate(nameOrPath);
  const parsed = source === undefined ? undefined : parse(await read(source), source);
  const input = parsed?.values ?? {};
  for (const { path, value } of overrides) setIn(input, path, value);

  const result = experimentSchema.safeParse(input);
  if (result.success) return { experiment: result.data, source };
  const lines = problemsOf(result.error, input).map(({ path, key, message }) => {
    const override = overrides.find((each) => each.path.every((part, i) => part === path[i]));
    const where = override ? [override.origin] : [parsed?.place(path), key];
    return [...where, message].filter((part) => part).join(': ');
  });
  throw new UsageError(lines.join('\n'));
}

/** The path of an experiment, from the working directory when it lies below it. */
async function locate(nameOrPath: string): Promise<string> {
  if (!/^[A-Za-z0-9_-]+$/.test(nameOrPath)) return nameOrPath;
  const files = (await readdir(experimentsFolder, { recursive: true })).filter((file) =>
    file.endsWith('.yaml'),
  );
  const ready = files.map((file) => basename(file, '.yaml'));
  const found = files[ready.indexOf(nameOrPath)];
  if (found === undefined) {
    throw new UsageError(
      `Unknown experiment "${nameOrPath}"${suggestion(nameOrPath, ready)} Known: ${ready.join(', ')}. ` +
        `A file of your own is given by its path, such as ./${nameOrPath}.yaml.`,
    );
  }
  const file = join(experimentsFolder, found);
  const nearby = relative('', file);
  return nearby.startsWith('..') ? file : nearby;
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError(
      missing ? `There is no experiment file "${file}".` : `Cannot read "${file}": ${messageOf(cause)}`,
      { cause },
    );
  }
}

function parse(text: string, file: string): Parsed {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error' });
  const placeAt = (offset: number) => `${file}:${lineCounter.linePos(offset).line}`;
  if (document.errors.length > 0) {
    const lines = document.errors.map(({ pos, message }) => `${placeAt(pos[0])}: not valid YAML: ${message}`);
    throw new UsageError(lines.join('\n'));
  }
  return {
    values: valuesOf(document, file),
    place(path) {
      const offset = offsetOf(document.contents, path);
      return offset === undefined ? file : placeAt(offset);
    },
  };
}

function valuesOf(document: Document, file: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch (cause) {
    // An alias without its anchor, or aliases of aliases that would fill the memory.
    throw new UsageError(`${file}: not valid YAML: ${messageOf(cause)}`, { cause });
  }
}

/** Where the key or item at `path` begins in the file, or the deepest one above it that exists. */
function offsetOf(contents: Node | null, path: readonly PropertyKey[]): number | undefined {
  let node: unknown = contents;
  let offset = contents?.range?.[0];
  for (const part of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === part) : undefined;
    const value = pair ? pair.value : isSeq(node) ? node.items[Number(part)] : undefined;
    if (value === undefined) break;
    offset = ((pair ? pair.key : value) as Node).range?.[0] ?? offset;
    node = value;
  }
  return offset;
}

/** Sets a key of nested maps, making those that are missing; what is not a map is left for validation to report. */
function setIn(target: unknown, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined || !isRecord(target)) return;
  if (rest.length === 0) {
    target[key] = value;
  } else {
    target[key] ??= {};
    setIn(target[key], rest, value);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
