import { describe, expect, it } from 'vitest';
import { placesOf } from '../../src/config/peers.ts';
import { type Experiment, experimentSchema } from '../../src/config/schema.ts';
import { trainingsOf } from '../../src/launch/trainings.ts';
import { NAME_PATTERN } from '../../src/protocol/messages.ts';

const TEACHER_WEIGHTS = 'run/teachers/peers/teacher-1/weights.safetensors';

function experimentWith(changes: object): Experiment {
  return experimentSchema.parse({
    distill: { method: 'kd', options: { temperature: 5 }, kdWeight: 3, temperature: 2, ceWeight: 0.5 },
    peers: [
      { model: 'mlp', count: 2 },
      { model: 'cnn-s', role: 'teacher' },
    ],
    compare: ['independent', 'dml'],
    ...changes,
  });
}

/** Each training: what is trained, in which folder, by which method, and who takes part with which weights. */
function planOf(experiment: Experiment) {
  return trainingsOf(experiment, 'run').map(({ kind, folder, experiment: each }) => ({
    ...{ kind, folder, method: each.distill.method },
    peers: placesOf(each).map(({ name, role, weights }) => [
      name,
      role,
      ...(weights === undefined ? [] : [weights]),
    ]),
  }));
}

describe('the trainings of an experiment', () => {
  it('are one for each method, where nobody has to be trained before', () => {
    const peers = [
      ['mlp-1', 'student'],
      ['mlp-2', 'student'],
    ];
    const experiment = experimentWith({
      distill: { method: 'dml' },
      peers: [{ model: 'mlp', count: 2 }],
      compare: ['kd'],
    });
    expect(planOf(experiment)).toEqual([
      { kind: 'students', folder: 'run', method: 'dml', peers },
      { kind: 'students', folder: 'run/compare/kd', method: 'kd', peers },
    ]);
    // As the user wrote it: the groups, not one entry for each peer.
    expect(trainingsOf(experiment, 'run')[0]!.experiment.peers).toEqual(experiment.peers);
  });

  it('begin with the teachers that have no weights; then all methods use what came out', () => {
    const students = [
      ['mlp-1', 'student'],
      ['mlp-2', 'student'],
    ];
    const all = [...students, ['teacher-1', 'teacher', TEACHER_WEIGHTS]];
    expect(planOf(experimentWith({}))).toEqual([
      { kind: 'teachers', folder: 'run/teachers', method: 'independent', peers: [['teacher-1', 'student']] },
      { kind: 'students', folder: 'run', method: 'kd', peers: all },
      { kind: 'students', folder: 'run/compare/independent', method: 'independent', peers: students },
      { kind: 'students', folder: 'run/compare/dml', method: 'dml', peers: all },
    ]);
  });

  it('train no teacher that has weights, and of several only those that have none', () => {
    const [mlp] = [{ model: 'mlp' }];
    const given = { model: 'cnn-s', role: 'teacher', weights: 'before/weights.safetensors', name: 'old' };
    expect(planOf(experimentWith({ peers: [mlp, given], compare: [] }))).toEqual([
      {
        ...{ kind: 'students', folder: 'run', method: 'kd' },
        peers: [
          ['mlp-1', 'student'],
          ['old', 'teacher', 'before/weights.safetensors'],
        ],
      },
    ]);
    const both = planOf(
      experimentWith({ peers: [mlp, given, { model: 'lenet5', role: 'teacher' }], compare: [] }),
    );
    expect(both.map(({ peers }) => peers)).toEqual([
      [['teacher-1', 'student']],
      [
        ['mlp-1', 'student'],
        ['old', 'teacher', 'before/weights.safetensors'],
        ['teacher-1', 'teacher', TEACHER_WEIGHTS],
      ],
    ]);
  });

  it('train a teacher for a method that it is only compared with, too', () => {
    const experiment = experimentWith({ distill: { method: 'independent' }, compare: ['kd'] });
    expect(planOf(experiment).map(({ kind, method, peers }) => [kind, method, peers.length])).toEqual([
      ['teachers', 'independent', 1],
      ['students', 'independent', 2],
      ['students', 'kd', 3],
    ]);
  });

  it('of a method of generations begin with those, and know their folders', () => {
    const experiment = experimentWith({
      distill: { method: 'independent' },
      peers: [{ model: 'mlp' }],
      compare: ['born-again'],
    });
    const folder = 'run/compare/born-again';
    const [first, second] = [0, 1].map((generation) => `${folder}/generations/${generation}`);
    const plan = trainingsOf(experiment, 'run');
    expect(plan.map(({ kind, earlier, ...each }) => [kind, each.folder, earlier])).toEqual([
      ['students', 'run', []],
      ['teachers', first, []],
      ['teachers', second, []],
      ['students', folder, [first, second]],
    ]);
  });

  it('leave options and weights to the method that they are for', () => {
    const [teachers, main, independent] = trainingsOf(experimentWith({}), 'run').map(
      ({ experiment }) => experiment.distill,
    );
    const { options, kdWeight, temperature, ceWeight, method, ...schedule } = main!;
    expect({ options, kdWeight, temperature, ceWeight, method }).toEqual({
      ...{ method: 'kd', options: { temperature: 5 }, kdWeight: 3, temperature: 2, ceWeight: 0.5 },
    });
    for (const other of [teachers, independent])
      expect(other).toEqual({ ...schedule, method: 'independent', options: {} });
  });

  it('of several methods at once are compared with each by itself', () => {
    const methods = [{ name: 'kd' }, { name: 'dkd', weight: 2 }];
    const [, main, other] = trainingsOf(experimentWith({ distill: { methods }, compare: ['dml'] }), 'run');
    expect(main!.experiment.distill.methods).toHaveLength(2);
    expect(other!.experiment.distill).not.toHaveProperty('methods');
    expect(other!.experiment.distill.method).toBe('dml');
  });

  it('are experiments by themselves, which any program can read', () => {
    const long = 'a'.repeat(61);
    const own = { model: 'mlp', name: long, count: 10 };
    const path = { model: `./${long}.js`, count: 2 };
    const teacher = { model: 'mlp', role: 'teacher' };
    for (const { experiment } of trainingsOf(experimentWith({ peers: [own, path, teacher] }), 'run')) {
      expect(experimentSchema.parse(JSON.parse(JSON.stringify(experiment)))).toEqual(experiment);
      expect(experiment.compare).toEqual([]);
      for (const { name } of placesOf(experiment)) expect(name).toMatch(NAME_PATTERN);
    }
  });
});

describe('the trainings of a method that learns from the generation before', () => {
  const generation = (folder: string, student = 'mlp-1'): string =>
    `${folder}/peers/${student}/weights.safetensors`;
  const bornAgain = (changes: object = {}): Experiment =>
    experimentWith({
      distill: { method: 'born-again', options: { temperature: 3 }, kdWeight: 0.7 },
      peers: [{ model: 'mlp' }],
      compare: [],
      ...changes,
    });

  it('are one after the other: the first by labels alone, each of the others by the one before', () => {
    expect(planOf(bornAgain())).toEqual([
      {
        ...{ kind: 'teachers', folder: 'run/generations/0', method: 'independent' },
        peers: [['mlp-1', 'student']],
      },
      {
        ...{ kind: 'teachers', folder: 'run/generations/1', method: 'born-again' },
        peers: [['mlp-1', 'student', generation('run/generations/0')]],
      },
      {
        ...{ kind: 'students', folder: 'run', method: 'born-again' },
        peers: [['mlp-1', 'student', generation('run/generations/1')]],
      },
    ]);
  });

  it('are as many as its options say, wherever they stand, and all have them but the first', () => {
    const options = { generations: 3, temperature: 3 };
    const methods = [{ name: 'label-smoothing' }, { name: 'born-again', weight: 0.7, options }];
    const said = [{ method: 'born-again', options, kdWeight: 0.7 }, { methods }];
    for (const distill of said) {
      const plan = trainingsOf(bornAgain({ distill }), 'run');
      expect(plan.map(({ folder }) => folder)).toEqual([
        ...['run/generations/0', 'run/generations/1', 'run/generations/2', 'run'],
      ]);
      const [first, ...later] = plan.map(({ experiment }) => experiment.distill);
      expect(first).toMatchObject({ method: 'independent', options: {} });
      expect(first).not.toHaveProperty('methods');
      for (const each of later) expect(each).toMatchObject(distill);
    }
  });

  it('are the most that one of several methods has', () => {
    const methods = [{ name: 'tf-kd-self' }, { name: 'born-again' }];
    expect(planOf(bornAgain({ distill: { methods } }))).toHaveLength(3);
    expect(planOf(bornAgain({ distill: { methods: methods.slice(0, 1) } }))).toHaveLength(2);
  });

  it('are of each student by itself', () => {
    const distill = { method: 'tf-kd-self' };
    const last = planOf(bornAgain({ distill, peers: [{ model: 'mlp', count: 2 }] })).at(-1)!;
    expect(last.peers).toEqual([
      ['mlp-1', 'student', generation('run/generations/0')],
      ['mlp-2', 'student', generation('run/generations/0', 'mlp-2')],
    ]);
  });

  it('belong to it where it is compared with, with its own generations', () => {
    const distill = { method: 'self-ema', options: { decay: 0.9 } };
    expect(planOf(bornAgain({ distill, compare: ['tf-kd-self'] })).map(({ folder }) => folder)).toEqual([
      'run',
      'run/compare/tf-kd-self/generations/0',
      'run/compare/tf-kd-self',
    ]);
  });
});
