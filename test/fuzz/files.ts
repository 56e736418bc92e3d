import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { encodeRound } from '../../coordinator/journal/record.ts';
import { openSegment } from '../../coordinator/journal/segment.ts';
import { parseDuration } from '../../src/config/duration.ts';
import { loadExperiment } from '../../src/config/load.ts';
import { parseCifar } from '../../src/datasets/cifar.ts';
import { parseIdxPair } from '../../src/datasets/parseIdx.ts';
import { tarEntries } from '../../src/datasets/tar.ts';
import { CodistillError } from '../../src/errors.ts';
import { projectRoot } from '../../src/paths.ts';
import { readNdjson } from '../../src/results/files.ts';
import { readPredictions } from '../../src/results/predictions.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import { readTokens } from '../../src/token.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/training/safetensors.ts';
import { damaged } from './bytes.ts';
import { expectUnpolluted, outcomeOf, type Target } from './target.ts';

/** What reads bytes of each kind. */
const READERS = {
  experiment: (bytes: Uint8Array) => loadExperiment(written('experiment.yaml', bytes)),
  safetensors: (bytes: Uint8Array) => decodeSafetensors(bytes),
  idx: (bytes: Uint8Array) => {
    // Images, and labels behind them.
    const [images, labels] = [bytes.subarray(0, IDX_IMAGES.length), bytes.subarray(IDX_IMAGES.length)];
    return parseIdxPair(dataFile(images), dataFile(labels), [2, 2, 1], 10);
  },
  cifar: (bytes: Uint8Array) => parseCifar([dataFile(bytes)], { labelBytes: 1, classes: 10 }),
  tar: (bytes: Uint8Array) => [...tarEntries(bytes)],
  ndjson: (bytes: Uint8Array) => readNdjson(written('metrics.ndjson', bytes)),
  summary: (bytes: Uint8Array) => {
    written('summary.json', bytes);
    return readSummary(folder);
  },
  predictions: (bytes: Uint8Array) => {
    written('predictions.safetensors', bytes);
    return readPredictions(folder);
  },
  journal: (bytes: Uint8Array) => {
    const segment = openSegment(written('current.journal', bytes));
    segment.recall(3, 'a');
    segment.close();
  },
  token: (bytes: Uint8Array) => readTokens(written('token', bytes)),
  duration: (bytes: Uint8Array) => parseDuration(Buffer.from(bytes).toString()),
} as const;

type Kind = keyof typeof READERS;

export interface FileCase {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
}

const folder = mkdtempSync(join(tmpdir(), 'codistill-fuzz-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const dataFile = (bytes: Uint8Array) => ({ path: 'data', remedy: 'Get it again.', bytes });
const hexOf = (text: string) => Buffer.from(text).toString('hex');
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Two images of 2 x 2 pixels, and their labels. */
const IDX_IMAGES = Buffer.from(`00000803${'00000002'.repeat(3)}0102030405060708`, 'hex');
const IDX = Buffer.concat([IDX_IMAGES, Buffer.from('00000801000000020309', 'hex')]);

const EXPERIMENTS = join(projectRoot, 'src', 'experiments');
const experiments = readdirSync(EXPERIMENTS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml'))
  .sort()
  .map((file) => readFileSync(join(EXPERIMENTS, file)));

/** An archive of one file that says that it has so many bytes, octal. */
function tarOf(size: string): Uint8Array {
  const archive = Buffer.alloc(512 * 4);
  archive.write('a/b.bin', 0);
  archive.write(size, 124);
  archive.write('0', 156);
  archive.write('ustar', 257);
  return archive;
}

const safetensors = encodeSafetensors(
  new Map([
    ['w', { dtype: 'F32', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }],
    ['n', { dtype: 'I32', shape: [], values: Int32Array.of(7) }],
  ]),
  { model: 'mlp' },
);

const predictions = encodeSafetensors(
  new Map([
    ['logits', { dtype: 'F32', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }],
    ['labels', { dtype: 'I32', shape: [2], values: Int32Array.of(0, 1) }],
  ]),
  {},
);

const counters = {
  ...{ lastClosed: 3, committed: 4, quarantined: {} },
  missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 },
};
const journal = Buffer.concat([
  ...encodeRound({ ...counters, round: 2, answers: [['a', Uint8Array.of(1, 2, 3)]] }).parts,
  ...encodeRound({ ...counters, round: 3, answers: [['a', Uint8Array.of(4, 5)]] }).parts,
]);

const numbers = ['0', '-1', '1e999', '4294967295', '9007199254740993', '.nan', '-.inf', '0x7fffffff'];
const yaml = [
  ...numbers,
  '[',
  ']',
  '{',
  '}',
  ': ',
  '- ',
  '&a ',
  '*a',
  '!!binary ',
  '? ',
  '<<: *a',
  '\t',
  '|\n',
  "'",
  '#',
];
const keys = [
  '__proto__: {a: 1}\n',
  'peers: [{model: mlp, count: 1024}]\n',
  'constructor: 1\n',
  'count: 1024, ',
];
const json = [...numbers, '{', '}', '[', ']', '"', ',', ':', 'null', '"__proto__"', '"__metadata__"'];

const kinds: readonly (readonly [Kind, number, readonly Uint8Array[], readonly string[]])[] = [
  ['experiment', 6, experiments, [...yaml, ...keys].map(hexOf)],
  ['safetensors', 4, [safetensors], [...json.map(hexOf), 'ffffffffffffffff', 'ffffff7f00000000']],
  ['idx', 2, [IDX], ['ffffffff', '7fffffff', '00000801', '00000803', '00000d03']],
  ['cifar', 1, [new Uint8Array(2 * 3073)], ['ff', '0a']],
  ['tar', 3, ['777', '-1000', '-2000', '77777777777', '8', ''].map(tarOf), ['30', '37', '2d', '00', '20']],
  ['ndjson', 2, [utf8('{"time":"t","kind":"progress"}\n{"a":[1,2]}\n')], json.map(hexOf)],
  ['summary', 2, [utf8('{"method":"dml","peers":[],"compare":{}}')], json.map(hexOf)],
  ['predictions', 2, [predictions], [...json.map(hexOf), 'ffffffffffffffff']],
  ['journal', 2, [journal], [...json.map(hexOf), 'ffffffff', '00000000']],
  ['token', 1, [utf8('secret\n')], ['0a', '00', '20', 'c3']],
  [
    'duration',
    1,
    [utf8('10s'), utf8('500ms'), utf8('2.5m')],
    ['.', '-', 'e', '999999999', 's', ' '].map(hexOf),
  ],
];

const cases: fc.Arbitrary<FileCase> = fc.oneof(
  ...kinds.map(([kind, weight, sources, telling]) => ({
    arbitrary: damaged(fc.constantFrom(...sources), telling).map((bytes) => ({ kind, bytes })),
    weight,
  })),
);

/** Files that people give, or that a fault has damaged, are read, or refused with an error for people. */
export const files: Target<FileCase> = {
  name: 'file',
  share: 1,
  cases,
  async check({ kind, bytes }) {
    const outcome = await outcomeOf(() => READERS[kind](bytes) as unknown);
    expectUnpolluted();
    if ('value' in outcome) return;
    const { error } = outcome;
    if (!(error instanceof CodistillError)) throw error;
    if (error.message === '') throw new Error('an error without a message');
  },
};
