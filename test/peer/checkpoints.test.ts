import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { assignCheckpoint, findCheckpoint, saveCheckpoint } from '../../peer/checkpoints.ts';
import { createTrainingLog } from '../../peer/log.ts';
import { loadNetwork } from '../../peer/network.ts';
import { ownTeachers } from '../../peer/selfTeachers.ts';
import { createStudent, type Student } from '../../peer/student.ts';
import { noTeachers, type TeacherSource } from '../../peer/teachers.ts';
import { train } from '../../peer/train.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { RunSettings } from '../../src/config/schema.ts';
import { encode } from '../../src/distill/encoders/index.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { encodingKey } from '../../src/distill/objective.ts';
import { createModel } from '../../src/models/index.ts';
import { readVariables, weightsOf } from '../../src/training/modelWeights.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/training/safetensors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { expectNoLeak } from '../support/tensors.ts';
import { EMBEDDED, settingsWith } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

type Changes = NonNullable<Parameters<typeof settingsWith>[0]>;

const settingsOf = (changes: Changes): RunSettings =>
  settingsWith({ ...changes, data: { trainSize: 40, testSize: 20, ...changes.data } });

async function studentOf(settings: RunSettings, model = 'mlp', name = 'peer-1'): Promise<Student> {
  const network = await loadNetwork({ name, model, settings, dataDir: EMBEDDED, download: false });
  const student = await createStudent(network, objectiveFrom(settings.distill), settings, network.layers);
  onTestFinished(() => student.dispose());
  return student;
}

/** The student's own teachers, or a frozen network in the place of other peers. */
async function teachersOf(student: Student, settings: RunSettings): Promise<TeacherSource> {
  const { loss, model } = student;
  const own = await ownTeachers(student, settings, model.name, undefined);
  if (own) return own;
  const frozen = createModel(model.name, { inputShape: model.inputShape, classes: model.classes, seed: 9 });
  onTestFinished(() => frozen.dispose());
  return {
    ...noTeachers,
    teach: async ({ images }) => ({
      target: tf.tidy(() => {
        const { logits, features } = frozen.forward(images, false);
        const encodings = loss.needs.features.map((need) => [encodingKey(need), encode(need, features)]);
        return { logits, encodings: Object.fromEntries(encodings) };
      }),
      waitedMs: 0,
    }),
  };
}

/** Trains from one step to another: the whole training ends later, as its schedules know. */
async function trainOn(
  student: Student,
  teachers: TeacherSource,
  settings: RunSettings,
  from: number,
  to: number,
): Promise<void> {
  const stop = new AbortController();
  const steps = await train({
    ...student,
    ...{ peer: student.name, settings, from, signal: stop.signal },
    teachers: {
      ...teachers,
      updated: (step) => {
        teachers.updated(step);
        if (step + 1 === to) stop.abort();
      },
    },
    log: createTrainingLog({ classes: 10, graceSteps: 100, now: () => 0 }, () => {}),
    evaluate: async () => {},
    keep: async () => {},
  });
  expect(steps).toBe(to);
}

const OWNER = (settings: RunSettings) => ({ run: 'run-1', settings });

/** Restores, and tells what was said. */
async function restoreInto(
  student: Student,
  folder: string,
  settings: RunSettings,
  { run = 'run-1', teachers = noTeachers } = {},
) {
  const told: string[] = [];
  const notify = (what: string): void => void told.push(what.replaceAll(`${folder}/checkpoints/`, ''));
  const found = await findCheckpoint(folder, student, { run, settings }, notify);
  if (found) assignCheckpoint(found, student, teachers.state);
  return { reached: found && { step: found.step, best: found.best }, told };
}

const bits = async ({ model }: Student) =>
  [...(await readVariables(weightsOf(model)))].map(([name, { values }]) => [
    name,
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex'),
  ]);

const PLAIN = settingsOf({});

/** A student of a few kilobytes, which cannot be trained; its parts are as those of others. */
function smallStudent(shape: number[] = [30, 40], name = 'peer-1'): Student {
  const variable = (value: number): tf.Variable => tf.variable(tf.fill(shape, value));
  const student = {
    name,
    model: { parameters: new Map([['w', variable(1)]]), buffers: new Map([['mean', variable(2)]]) },
    loss: {
      parameters: new Map([['vid.variance', variable(3)]]),
      buffers: new Map([['crd.bank', variable(4)]]),
    },
    optimizer: { slots: new Map([['w.velocity', variable(5)]]) },
    ema: null,
  } as unknown as Student;
  const { model, loss, optimizer } = student;
  const maps = [model.parameters, model.buffers, loss.parameters, loss.buffers, optimizer.slots];
  onTestFinished(() => tf.dispose(maps.flatMap((map) => [...map.values()])));
  return student;
}

/** A folder with checkpoints after 1, 2 and 3 steps. */
async function threeCheckpoints(): Promise<{ folder: string; student: Student }> {
  const folder = await temporaryFolder();
  const student = smallStudent();
  for (const step of [1, 2, 3]) await saveCheckpoint(folder, student, { step, best: null }, OWNER(PLAIN));
  return { folder, student };
}

const nameOf = (step: number): string => `step-${String(step).padStart(8, '0')}.safetensors`;
const pathOf = (folder: string, step: number): string => join(folder, 'checkpoints', nameOf(step));
const checkpointsIn = (folder: string): string[] => readdirSync(join(folder, 'checkpoints')).sort();

describe('a training that goes on from a checkpoint', () => {
  it.each<[string, Changes, string]>([
    ['sgd with momentum', { training: { schedule: 'cosine' } }, 'mlp'],
    [
      'adamw with a warm-up, a clipped norm and milestones',
      {
        training: {
          ...{ optimizer: { name: 'adamw', weightDecaySchedule: 'milestones' } as never, clipNorm: 0.5 },
          ...{ schedule: 'step', milestones: [1, 2], warmUpSteps: 4 },
        },
      },
      'mlp',
    ],
    ['a moving average that teaches', { distill: { method: 'self-ema' } }, 'mlp'],
    ['predictions of the epoch before', { distill: { method: 'ps-kd' } }, 'mlp'],
    ['predictions of the batch before', { distill: { method: 'dlb' } }, 'mlp'],
    ['modules and what they remember', { distill: { method: 'crd' } }, 'mlp'],
    ['running statistics and augmented images', { data: { augment: 'crop-flip', batchSize: 4 } }, 'resnet8'],
  ])('ends with the same bits: %s', async (_, changes, model) => {
    const settings = settingsOf({ ...changes, training: { epochs: 3, ...changes.training } });
    const [at, end] = [4, 7];
    const whole = await studentOf(settings, model);
    const before = await teachersOf(whole, settings);
    const folder = await temporaryFolder();
    await trainOn(whole, before, settings, 0, at);
    await saveCheckpoint(folder, whole, { step: at, best: null }, OWNER(settings), before.state);
    await trainOn(whole, before, settings, at, end);

    const fresh = await studentOf(settings, model);
    const after = await teachersOf(fresh, settings);
    const { reached } = await restoreInto(fresh, folder, settings, { teachers: after });
    expect(reached).toEqual({ step: at, best: null });
    await trainOn(fresh, after, settings, at, end);
    expect(await bits(fresh)).toEqual(await bits(whole));
  });

  it('has what its teachers remember, and its best evaluation', async () => {
    const folder = await temporaryFolder();
    const memory = (value: number) => new Map([['said', tf.variable(tf.tensor1d([value], 'int32'), false)]]);
    const best = { step: 5, accuracy: 0.1 + 0.2, nll: Number.MAX_VALUE, ece: 1 / 3 };
    const student = smallStudent();
    const before = memory(-7);
    await saveCheckpoint(folder, student, { step: 5, best }, OWNER(PLAIN), before);
    const after = memory(0);
    const found = (await findCheckpoint(folder, student, OWNER(PLAIN), () => {}))!;
    expect(found).toMatchObject({ step: 5, best });
    assignCheckpoint(found, student, after);
    expect([...after.get('said')!.dataSync()]).toEqual([-7]);
    expect(readFileSync(pathOf(folder, 5)).includes('"memory.said"')).toBe(true);
    tf.dispose([...before.values(), ...after.values()]);
  });

  it('leaves nothing on the device', async () => {
    const { folder, student } = await threeCheckpoints();
    await expectNoLeak(() => saveCheckpoint(folder, student, { step: 4, best: null }, OWNER(PLAIN)));
    await expectNoLeak(async () => void (await restoreInto(student, folder, PLAIN)));
  });
});

describe('a damaged checkpoint', () => {
  it('is passed over for the one before, wherever it was cut, and so on to none', async () => {
    const { folder } = await threeCheckpoints();
    const student = smallStudent();
    const whole = readFileSync(pathOf(folder, 3));
    for (let length = whole.length - 1; length >= 0; length -= 1024) {
      truncateSync(pathOf(folder, 3), length);
      const { reached, told } = await restoreInto(student, folder, PLAIN);
      expect(reached?.step, `cut at ${length}`).toBe(2);
      expect(told[0]).toMatch(/^checkpoint passed over: step-00000003.safetensors: /);
      expect(told[1]).toBe('going on from step 2: step-00000002.safetensors');
    }
    truncateSync(pathOf(folder, 2), 0);
    expect((await restoreInto(student, folder, PLAIN)).reached?.step).toBe(1);
    truncateSync(pathOf(folder, 1), 5);
    const before = await bits(student);
    const { reached, told } = await restoreInto(student, folder, PLAIN);
    expect([reached, told.length]).toEqual([null, 3]);
    expect(await bits(student)).toEqual(before);
  });

  it('is found out by one bit, in the header or in the values', async () => {
    const { folder } = await threeCheckpoints();
    const student = smallStudent();
    const whole = readFileSync(pathOf(folder, 3));
    const header = Number(whole.readBigUInt64LE(0));
    const places = [
      ...Array.from({ length: 40 }, (_, i) => Math.floor((i * (header + 8)) / 40)),
      ...Array.from({ length: 20 }, (_, i) => header + 8 + i * 997),
      whole.length - 1,
    ];
    for (const place of places) {
      const damaged = Buffer.from(whole);
      damaged[place]! ^= 1 << (place % 8);
      writeFileSync(pathOf(folder, 3), damaged);
      const { reached } = await restoreInto(student, folder, PLAIN);
      expect(reached?.step, `bit flipped in byte ${place}`).toBe(2);
    }
    writeFileSync(pathOf(folder, 3), whole);
    expect((await restoreInto(student, folder, PLAIN)).reached?.step).toBe(3);
  });

  it('is told from one without a digest', async () => {
    const { folder } = await threeCheckpoints();
    const { tensors, metadata } = decodeSafetensors(readFileSync(pathOf(folder, 3)));
    const { sha256, ...rest } = metadata;
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    writeFileSync(pathOf(folder, 3), encodeSafetensors(tensors, rest));
    const { reached, told } = await restoreInto(smallStudent(), folder, PLAIN);
    expect(reached?.step).toBe(2);
    expect(told[0]).toContain('Expected "sha256" in the metadata, found none.');
  });
});

describe('a checkpoint of something else', () => {
  interface Other {
    readonly run?: string;
    readonly settings?: RunSettings;
    readonly name?: string;
  }

  it.each<[string, RegExp, Other]>([
    ['run', /of run run-2, got one of run-1/, { run: 'run-2' }],
    [
      'experiment',
      /of experiment [0-9a-f]{64}, got one of [0-9a-f]{64}/,
      { settings: settingsOf({ training: { epochs: 9 } }) },
    ],
    ['peer', /of peer b, got one of peer-1/, { name: 'b' }],
  ])('%s is not taken, and said to be one', async (_, message, other) => {
    const { folder } = await threeCheckpoints();
    const student = smallStudent(undefined, other.name);
    const before = await bits(student);
    const { reached, told } = await restoreInto(student, folder, other.settings ?? PLAIN, other);
    expect(reached).toBeNull();
    expect(told).toHaveLength(3);
    for (const what of told) expect(what).toMatch(message);
    expect(await bits(student)).toEqual(before);
  });

  it('that has other tensors under the same names ends the peer, in words, and changes nothing', async () => {
    const { folder } = await threeCheckpoints();
    const student = smallStudent([4, 300]);
    const before = await bits(student);
    await expect(restoreInto(student, folder, PLAIN)).rejects.toThrow(
      /step-00000003.safetensors: .*"model.w": expected F32 \[4,300\], as this student has it, got F32 \[30,40\].* Start this peer with another --dir/,
    );
    expect(await bits(student)).toEqual(before);
  });

  it('is not one whose settings merely come in another order', async () => {
    const { folder } = await threeCheckpoints();
    const reversed = Object.fromEntries(Object.entries(PLAIN).reverse()) as unknown as RunSettings;
    expect((await restoreInto(smallStudent(), folder, reversed)).reached?.step).toBe(3);
  });
});

describe('the folder of checkpoints', () => {
  it('may be missing: then training begins at its beginning, and nothing is said', async () => {
    const { reached, told } = await restoreInto(smallStudent(), await temporaryFolder(), PLAIN);
    expect([reached, told]).toEqual([null, []]);
  });

  it('loses what a killed process left half-written when training goes on, and no file of others', async () => {
    const { folder, student } = await threeCheckpoints();
    const half = `${pathOf(folder, 4)}.0b5f7a6e-9f43-4a55-9a3d-7f1f5c0f9d11.tmp`;
    writeFileSync(half, 'half');
    writeFileSync(join(folder, 'checkpoints', 'notes.tmp'), 'mine');
    await restoreInto(student, folder, PLAIN);
    expect(checkpointsIn(folder)).toEqual(['notes.tmp', nameOf(1), nameOf(2), nameOf(3)]);
  });

  it('keeps the last three, and files of others', async () => {
    const folder = await temporaryFolder();
    const student = smallStudent();
    await mkdir(join(folder, 'checkpoints'));
    writeFileSync(join(folder, 'checkpoints', 'notes.txt'), 'mine');
    for (const step of [9, 10, 100, 100, 1000]) {
      await saveCheckpoint(folder, student, { step, best: null }, OWNER(PLAIN));
    }
    expect(checkpointsIn(folder)).toEqual(['notes.txt', nameOf(10), nameOf(100), nameOf(1000)]);
  });

  it('keeps the newest where an earlier training came further', async () => {
    const folder = await temporaryFolder();
    const student = smallStudent();
    for (const step of [700, 800, 900, 10, 20]) {
      await saveCheckpoint(folder, student, { step, best: null }, OWNER(PLAIN));
    }
    expect(checkpointsIn(folder)).toEqual([nameOf(10), nameOf(20), nameOf(900)]);
  });

  it('names every part of the state in a file that any reader of safetensors can read', async () => {
    const settings = settingsOf({ distill: { method: 'self-ema' } });
    const folder = await temporaryFolder();
    const student = await studentOf(settings);
    await saveCheckpoint(folder, student, { step: 120, best: null }, OWNER(settings));
    const { tensors, metadata } = decodeSafetensors(readFileSync(pathOf(folder, 120)));
    const names = [...student.model.parameters.keys()];
    expect([...tensors.keys()].sort()).toEqual(
      names.flatMap((name) => [`model.${name}`, `optimizer.${name}.velocity`, `teacher.${name}`]).sort(),
    );
    expect(metadata).toEqual({
      ...{ run: 'run-1', peer: 'peer-1', model: 'mlp', step: '120', best: 'null' },
      ...{ sha256: expect.any(String), experiment: expect.any(String) },
    });
  });
});
