import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/paths.ts';
import { globalArguments, instructions, lineage, parents, readDocker } from './dockerfile.ts';
import { variablesOf } from './programs.ts';

const TARGETS = ['coordinator', 'peer-cpu', 'peer-nvidia'];
const VARIANTS = ['stock', 'linked'];
const all = instructions();
const project = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));

/** Of a stage and all that it is made of, the last first. */
function named(name: string, stage: string, variant = 'stock'): string[] {
  return lineage(stage, { ...globalArguments(), TENSORFLOW: variant }).flatMap((part) =>
    all.filter((each) => each.name === name && each.stage === part).map(({ rest }) => rest),
  );
}

/** The words of a `COPY` that are paths in the build context. */
function contextPaths({ rest }: { readonly rest: string }): string[] {
  return rest.includes('--from=') ? [] : rest.split(' ').slice(0, -1);
}

describe('the Dockerfile', () => {
  it.each(VARIANTS)('starts every stage of the variant %s from another one or a pinned image', (variant) => {
    const from = parents({ ...globalArguments(), TENSORFLOW: variant });
    for (const [stage, image] of from) {
      expect(from.has(image) || /:\d+\.\d+\.\d+-/.test(image), `${stage} is FROM ${image}`).toBe(true);
    }
    for (const target of TARGETS) expect(from.has(target)).toBe(true);
  });

  it('copies what there is and what its ignore file lets through', () => {
    const allowed = readDocker('Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const paths = all.filter(({ name }) => name === 'COPY').flatMap(contextPaths);
    expect(new Set(paths)).toEqual(new Set(allowed));
    for (const path of paths) expect(existsSync(join(projectRoot, path)), path).toBe(true);
  });

  it('copies from its own stages', () => {
    const stages = all.filter(({ name }) => name === 'FROM').map(({ stage }) => stage);
    const sources = all.flatMap(({ rest }) => /--from=(\S+)/.exec(rest)?.[1] ?? []);
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources) expect(stages).toContain(source);
  });

  it.each(TARGETS)('makes %s a program that gets signals itself and is not root', (target) => {
    expect(named('USER', target)[0]).toBe('node');
    const [command, entry, ...others] = JSON.parse(named('ENTRYPOINT', target)[0]!);
    const folder = named('WORKDIR', 'build')[0]!;
    expect([command, others]).toEqual(['node', []]);
    const source = entry.replace(`${folder}/dist/`, '').replace(/\.js$/, '.ts');
    expect(existsSync(join(projectRoot, source)), source).toBe(true);
  });

  it('sets only variables that the coordinator knows', () => {
    const set = named('ENV', 'coordinator').flatMap((line) => line.match(/CODISTILL_\w+/g) ?? []);
    expect(set).toContain('CODISTILL_HOST');
    expect(variablesOf('coordinator')).toEqual(expect.arrayContaining(set));
  });

  it('keeps the compiler and the tools of pip out of what is shipped', () => {
    for (const [target, variant] of [...TARGETS.map((name) => [name, 'stock']), ['peer-nvidia', 'linked']]) {
      expect(lineage(target!, { ...globalArguments(), TENSORFLOW: variant! })).not.toContain('linker');
    }
  });
});

describe('the versions in the Dockerfile', () => {
  it('of Node.js are ones that codistill runs on', () => {
    const numbers = (text: string): number[] => text.split('.').map(Number);
    const [major = 0, minor = 0] = numbers(project.engines.node.replace('>=', ''));
    const [ownMajor = 0, ownMinor = 0, patch] = numbers(globalArguments().NODE_VERSION!);
    expect(patch).toBeDefined();
    expect(ownMajor > major || (ownMajor === major && ownMinor >= minor)).toBe(true);
  });

  it('of npm packages are those of package.json', () => {
    const text = readDocker('Dockerfile');
    const webgpu = text.match(/webgpu@\S+/g);
    expect(new Set(webgpu)).toEqual(new Set([`webgpu@${project.config.webgpu}`]));
    const stock = project.optionalDependencies['@tensorflow/tfjs-node-gpu'];
    expect(text).toContain(`@tensorflow/tfjs-node-gpu ${stock}`);
  });

  it('of TensorFlow are the one that `install-tensorflow --pip` installs, whole and pinned', () => {
    const source = readFileSync(join(projectRoot, 'src/backend/tensorflow/pip.ts'), 'utf8');
    const version = /VERSION = '([\d.]+)'/.exec(source)![1];
    for (const [file, name] of [
      ['cpu.txt', 'tensorflow-cpu'],
      ['cuda12.txt', 'tensorflow'],
    ]) {
      const requirements = readDocker(`tensorflow/${file}`).match(/^[^#\n].*$/gm)!;
      expect(requirements[0]).toMatch(new RegExp(`^${name}==${version} `));
      for (const line of requirements) expect(line).toMatch(/^[\w-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
    }
    expect(all.some(({ name, rest }) => name === 'ARG' && rest === 'REQUIREMENTS=cuda12.txt')).toBe(true);
  });
});

describe('the files beside the Dockerfile', () => {
  it('are correct shell', () => {
    const script = join(projectRoot, 'docker', 'rehearse.sh');
    expect(spawnSync('bash', ['-n', script], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it('are all in use', () => {
    const health = JSON.parse(named('HEALTHCHECK', 'coordinator')[0]!.replace(/^.*CMD /, ''));
    expect(health).toEqual(['node', '/opt/codistill/docker/healthcheck.mjs']);
    const page = readFileSync(join(projectRoot, 'coordinator', 'http.ts'), 'utf8');
    const asked = /\/\w+(?=`;)/.exec(readDocker('healthcheck.mjs'))![0];
    expect(page).toContain(`'${asked}'`);
  });
});
