import { describe, expect, test } from 'vitest';
import { combine } from '../../src/results/combine.ts';
import { summaryFile } from '../../src/results/summaryFile.ts';
import type { MethodSummary, RunSummary } from '../../src/results/types.ts';
import { evaluation, methodSummary, peer } from './example.ts';

/** One training as its own program wrote it, before anything was compared: peers by the time of a step. */
function training(method: string, stepMs: Readonly<Record<string, number | null>>): RunSummary {
  const peers = Object.entries(stepMs).map(([name, ms]) =>
    peer(name, evaluation(0.7), { stepMs: ms, distillationOverhead: null }),
  );
  return summaryFile(methodSummary(method, peers), { name: `written by ${method}` });
}

const overheads = ({ peers }: MethodSummary) => peers.map((each) => each.distillationOverhead);
const experiment = { name: 'quickstart' };

describe('the overhead of distillation', () => {
  test('is the time of a step relative to that of the same peer in the control', () => {
    // In another order, since peers are matched by name.
    const control = training('independent', { b: 50, a: 80 });
    const run = combine(training('dml', { a: 100, b: 55 }), { independent: control }, experiment);
    expect(overheads(run)[0]).toBeCloseTo(0.25, 12);
    expect(overheads(run)[1]).toBeCloseTo(0.1, 12);
  });

  test('is computed for every method, and is none for the control itself', () => {
    const run = combine(
      training('dml', { a: 100 }),
      { independent: training('independent', { a: 80 }), 'self-ema': training('self-ema', { a: 120 }) },
      experiment,
    );
    expect(overheads(run.compare['self-ema']!)[0]).toBeCloseTo(0.5, 12);
    expect(overheads(run.compare.independent!)).toEqual([null]);
  });

  test('counts against the run itself when that is the control', () => {
    const run = combine(training('independent', { a: 80 }), { dml: training('dml', { a: 60 }) }, experiment);
    expect(overheads(run)).toEqual([null]);
    expect(overheads(run.compare.dml!)[0]).toBeCloseTo(-0.25, 12);
  });

  test('is unknown without a control, and for peers whose time is unknown in either training', () => {
    const main = training('dml', { a: 100, b: 100, c: null, d: 100 });
    const control = training('independent', { b: null, c: 80, d: 0 });
    expect(overheads(combine(main, {}, experiment))).toEqual([null, null, null, null]);
    expect(overheads(combine(main, { independent: control }, experiment))).toEqual([null, null, null, null]);
  });
});

describe('a combined summary', () => {
  const main = training('dml', { a: 100 });
  const control = training('independent', { a: 80 });
  const run = combine(main, { independent: control }, experiment);

  test('holds the results of the run at its top, and those of the others by method', () => {
    expect({ method: run.method, compared: Object.keys(run.compare) }).toEqual({
      method: 'dml',
      compared: ['independent'],
    });
    expect(run.peers).toEqual([
      { ...main.peers[0], distillationOverhead: run.peers[0]!.distillationOverhead },
    ]);
    expect(run.compare.independent!.peers).toEqual(control.peers);
  });

  test('says once what is the same for all: experiment, machine and verdict', () => {
    expect(run.experiment).toBe(experiment);
    expect(run.machine).toEqual(main.machine);
    expect(run.verdict).toContain('the same peer trained alone');
    for (const key of ['experiment', 'machine', 'verdict', 'compare', 'schemaVersion']) {
      expect(run.compare.independent).not.toHaveProperty(key);
    }
  });

  test('has no verdict when there was nothing to compare with', () => {
    expect(combine(main, {}, experiment).verdict).toBeNull();
  });
});
