import { describe, expect, it } from 'vitest';
import { advance, disconnected, receive } from '../../coordinator/run.ts';
import { summarise } from '../../coordinator/summary.ts';
import { doneAt, emptyRun, logitsOf, predictionsOf, progressAt, startedRun } from './support.ts';

const labels = [0, 1, 1, 1];
/** Logits that predict classes 0, 1, 1, 0, and 0, 0, 1, 0. */
const threeRight = predictionsOf([4, 0, 0, 4, 0, 4, 4, 0], labels);
const twoRight = predictionsOf([1, 0, 1, 0, 0, 1, 1, 0], labels);

describe('summarise', () => {
  it('tells of each peer what it handed in, and judges its predictions', () => {
    const run = startedRun(['a']);
    Object.assign(run.members.get('a')!, { bytesUp: 11, bytesDown: 22 });
    receive(run, 'a', { type: 'notice', event: 'collapsed', step: 4, reason: 'loss 2.30' }, 0);
    receive(run, 'a', threeRight, 0);
    receive(run, 'a', doneAt(10, { weights: 'ef'.repeat(32) }), 0);
    expect(summarise(run, false, 3.5)).toEqual({
      ...{ method: 'dml', testSamples: 4, ensemble: null, agreement: null, interrupted: false, seconds: 3.5 },
      exchange: {
        ...{ rounds: 0, missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 }, staleness: 0 },
        frames: { received: 0, accepted: 0, refused: {} },
        contributions: { received: 0, committed: 0, unused: {}, open: 0 },
        answers: { targets: 0, noTargets: 0, advances: 0, undelivered: 0, replaced: 0 },
        pieces: { sent: 0, dropped: 0 },
      },
      peers: [
        {
          ...{
            name: 'a',
            role: 'student',
            model: 'cnn-s',
            parameters: 100,
            backend: 'wasm',
            device: 'a CPU',
            steps: 10,
          },
          ...{
            outcome: 'finished',
            collapsed: 'loss 2.30',
            quarantined: null,
            imagesPerSecond: 90,
            waitFraction: 0.125,
            stepMs: 11,
          },
          refusedBackends: [{ backend: 'webgpu', reason: 'no card' }],
          ...{ bytesUp: 11, bytesDown: 22, distillationOverhead: null, weightsDigest: 'ef'.repeat(32) },
          test: {
            accuracy: 0.75,
            nll: expect.any(Number),
            ece: expect.any(Number),
            brier: expect.any(Number),
          },
        },
      ],
    });
  });

  it('tells the best evaluation besides, the first of equal ones, where the experiment asks for it', () => {
    const tell = (report: 'last' | 'best') => {
      const run = startedRun(['a', 'b']);
      run.options.settings.training.report = report;
      for (const [i, accuracy] of [0.5, 0.875, 0.875, 0.25].entries()) {
        receive(run, 'a', { type: 'evaluation', step: 10 * i, accuracy, nll: 1, ece: 0, brier: 0.5 }, 0);
      }
      receive(run, 'a', threeRight, 0);
      return summarise(run, false, 1).peers;
    };
    const [a, b] = tell('best');
    expect(a).toMatchObject({ test: { accuracy: 0.75 }, best: { step: 10, accuracy: 0.875, brier: 0.5 } });
    expect(b).not.toHaveProperty('best');
    expect(tell('last')[0]).not.toHaveProperty('best');
  });

  it('judges the ensemble and the agreement of peers with predictions', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', threeRight, 0);
    receive(run, 'b', twoRight, 0);
    const summary = summarise(run, false, 1);
    expect(summary.peers.map(({ test }) => test?.accuracy)).toEqual([0.75, 0.5]);
    // The surer one decides where they differ, which is on one sample of four.
    expect(summary.ensemble?.accuracy).toBe(0.75);
    expect(summary.agreement).toBe(0.75);
    const likelihood = (margin: number): number => 1 / (1 + Math.exp(-margin));
    const right = (likelihood(4) + likelihood(1)) / 2;
    const probabilities = [right, (likelihood(4) + likelihood(-1)) / 2, right, 1 - right];
    const nll = -probabilities.reduce((sum, p) => sum + Math.log(p), 0) / 4;
    expect(summary.ensemble?.nll).toBeCloseTo(nll, 6);
  });

  it('keeps a peer that has diverged out of the ensemble, and calls it as bad as can be', () => {
    const run = startedRun(['a', 'b', 'c']);
    receive(run, 'a', threeRight, 0);
    receive(run, 'b', predictionsOf(Array<number>(8).fill(Number.NaN), labels), 0);
    receive(run, 'c', threeRight, 0);
    const { peers, ensemble, agreement } = summarise(run, false, 1);
    expect(peers[1]!.test).toMatchObject({ nll: Number.MAX_VALUE, ece: 1 });
    expect([ensemble?.accuracy, agreement]).toEqual([0.75, 1]);
  });

  it('leaves out of it all a peer whose predictions are not complete', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', threeRight, 0);
    receive(run, 'b', predictionsOf([0, 1, 0, 1], [0, 1]), 0);
    const { peers, ensemble, agreement } = summarise(run, true, 1);
    expect(peers.map(({ test }) => test?.accuracy ?? null)).toEqual([0.75, null]);
    expect([ensemble, agreement]).toEqual([null, null]);
  });

  it('counts rounds and misses', () => {
    const run = startedRun(['a', 'b', 'c']);
    for (const peer of ['a', 'b']) receive(run, peer, logitsOf(0), 0);
    advance(run, 10_000);
    receive(run, 'c', logitsOf(0), 10_000);
    expect(summarise(run, false, 1).exchange).toMatchObject({
      ...{ rounds: 1, staleness: 0 },
      missed: { noTeachers: 0, quorum: 0, late: 1, refused: 0 },
    });
  });

  it('knows of a lost peer what it last reported', () => {
    const run = startedRun(['a']);
    receive(run, 'a', progressAt(6), 0);
    disconnected(run, 'a', 1, 'gone', 0);
    const { peers, interrupted } = summarise(run, true, 1);
    expect(interrupted).toBe(true);
    expect(peers[0]).toMatchObject({ outcome: 'lost', steps: 6, imagesPerSecond: 100, waitFraction: 0.25 });
    expect(peers[0]).toMatchObject({ stepMs: null, weightsDigest: null, test: null });
    expect(peers[0]).not.toHaveProperty('collapsed');
  });

  it('is possible before anybody has come', () => {
    expect(summarise(emptyRun(['a']), true, 0)).toMatchObject({ peers: [], testSamples: 0, ensemble: null });
  });
});
