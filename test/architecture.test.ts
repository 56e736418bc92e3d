import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../src/paths.ts';

interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  /** Files of the project that are loaded with it. */
  readonly files: readonly string[];
  /** Packages and Node.js modules that are loaded with it. */
  readonly modules: readonly string[];
}

/** Static and dynamic imports, but not those of types, which are gone at run time. */
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/g;

function read(path: string): SourceFile {
  const text = readFileSync(join(projectRoot, path), 'utf8');
  const imports = [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2]!);
  return {
    path,
    files: imports.filter((name) => name.startsWith('.')).map((name) => join(dirname(path), name)),
    modules: imports.filter((name) => !name.startsWith('.')),
  };
}

const sources = new Map(
  ['src', 'coordinator', 'peer']
    .flatMap((folder) =>
      readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
        .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name))),
    )
    .map((path) => [path, read(path)]),
);

/** The names of methods are in a file that imports none of them before it is asked to, and only one file asks. */
const REGISTRY = 'src/distill/registry.ts';
const LOADER = 'src/distill/index.ts';

/** The files that are loaded with one. */
function filesOf(path: string): readonly string[] {
  const files = sources.get(path)?.files ?? [];
  const isMethod = (file: string): boolean => file.startsWith('src/distill/methods/');
  if (path === REGISTRY) return files.filter((file) => !isMethod(file));
  return path === LOADER ? [...files, ...sources.get(REGISTRY)!.files] : files;
}

/** A file with everything that is loaded when it is, as a chain of imports for each module. */
function loadedBy(path: string): { readonly module: string; readonly chain: string }[] {
  const chains = new Map([[path, path]]);
  for (const [file, chain] of chains) {
    for (const next of filesOf(file)) {
      if (!chains.has(next)) chains.set(next, `${chain} > ${next}`);
    }
  }
  return [...chains].flatMap(([file, chain]) =>
    (sources.get(file)?.modules ?? []).map((module) => ({ module, chain: `${chain} > ${module}` })),
  );
}

/** The imports from one folder to another, for a message that names them. */
function importsBetween(from: string, to: string): string[] {
  return [...sources.values()]
    .filter(({ path }) => path.startsWith(from))
    .flatMap(({ path, files }) =>
      files.filter((file) => file.startsWith(to)).map((file) => `${path} imports ${file}`),
    );
}

/** The files that name a package, other than those that may. */
function namersOf(module: RegExp, allowed: RegExp): string[] {
  return [...sources.values()]
    .filter(({ path, modules }) => modules.some((name) => module.test(name)) && !allowed.test(path))
    .map(({ path }) => path);
}

describe('the direction of imports', () => {
  it('is known for every source file', () => {
    expect(sources.size).toBeGreaterThan(100);
    expect(sources.get('coordinator/main.ts')?.files).toContain('src/errors.ts');
    for (const { path, files } of sources.values()) {
      for (const file of files.filter((name) => name.endsWith('.ts'))) {
        expect(sources.has(file), `${path} imports ${file}`).toBe(true);
      }
    }
  });

  it.each([
    ['src/', 'coordinator/'],
    ['src/', 'peer/'],
    ['coordinator/', 'peer/'],
    ['peer/', 'coordinator/'],
  ])('does not go from %s to %s', (from, to) => {
    expect(importsBetween(from, to)).toEqual([]);
  });

  it('lets one file load the distillation methods, and one more know their names', () => {
    const importers = [...sources.values()].filter(({ files }) => files.includes(REGISTRY));
    expect(importers.map(({ path }) => path)).toEqual(['src/config/methods.ts', LOADER]);
    const names = readFileSync(join(projectRoot, 'src/config/methods.ts'), 'utf8');
    expect(names).not.toMatch(/await|\.then\(/);
    const loaded = loadedBy(LOADER).map(({ module }) => module);
    expect(loaded).toContain('@tensorflow/tfjs');
  });

  it('keeps TensorFlow.js out of the coordinator', () => {
    const loaded = loadedBy('coordinator/main.ts');
    expect(loaded.map(({ module }) => module)).toContain('ws');
    expect(loaded.filter(({ module }) => module.startsWith('@tensorflow/'))).toEqual([]);
  });

  it('keeps TensorFlow.js out of the launcher, but for what its commands load when they run', () => {
    const direct = loadedBy('src/launch/run.ts');
    expect(direct.filter(({ module }) => module.startsWith('@tensorflow/'))).toEqual([]);
  });

  it.each([
    ...['protocol', 'codec', 'exchange', 'ensemble', 'distill', 'models', 'training'].map(
      (name) => `src/${name}/`,
    ),
    'peer/session.ts',
    'peer/teachers.ts',
  ])('keeps what only Node.js has out of %s, so that it runs in a browser', (start) => {
    const files = [...sources.keys()].filter((path) => path.startsWith(start));
    expect(files.length).toBeGreaterThan(0);
    const chains = files
      .flatMap(loadedBy)
      .filter(({ module }) => module.startsWith('node:') || module === 'ws');
    expect(chains.map(({ chain }) => chain)).toEqual([]);
  });

  it('lets one file each speak to msgpackr and to the native package, and only the programs to sockets', () => {
    expect(namersOf(/^msgpackr/, /^src\/protocol\/wire\.ts$/)).toEqual([]);
    expect(namersOf(/^@tensorflow\/tfjs-(node|backend)/, /^src\/backend\//)).toEqual([]);
    expect(namersOf(/^ws$/, /^(coordinator\/|peer\/socket\.ts$)/)).toEqual([]);
  });

  it('leaves randomness without a seed out of the product', () => {
    const unseeded = [...sources.keys()].filter((path) =>
      readFileSync(join(projectRoot, path), 'utf8').includes('Math.random'),
    );
    expect(unseeded).toEqual([]);
  });
});
