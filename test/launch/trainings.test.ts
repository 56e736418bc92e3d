import { describe, expect, it } from 'vitest';
import { placesOf } from '../../src/config/peers.ts';
import { type Experiment, experimentSchema } from '../../src/config/schema.ts';
import { trainingsOf } from '../../src/launch/trainings.ts';

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
    for (const { experiment } of trainingsOf(experimentWith({}), 'run')) {
      expect(experimentSchema.parse(JSON.parse(JSON.stringify(experiment)))).toEqual(experiment);
      expect(experiment.compare).toEqual([]);
    }
  });
});
