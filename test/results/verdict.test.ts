import { describe, expect, test } from 'vitest';
import { verdict } from '../../src/results/verdict.ts';
import { evaluation, exampleRun, methodSummary, peer, runSummary } from './example.ts';

const NOISE_SENTENCE =
  'One run is one seed: with 10,000 test samples the standard error of an accuracy is 0.4 points, so a difference ' +
  'under about 1.3 points is within noise, and other seeds may differ by more.';

/** Two peers under `dml` against two under `independent`, by accuracy. */
function compare(ours: readonly [number, number], theirs: readonly [number, number]): string | null {
  const peers = (accuracies: readonly number[]) =>
    accuracies.map((a, i) => peer(`peer-${i + 1}`, evaluation(a)));
  return verdict(runSummary(peers(ours), [methodSummary('independent', peers(theirs))]));
}

describe('verdict', () => {
  test('states the gain, the ensemble, and what one run can show', () => {
    expect(verdict(exampleRun())).toBe(
      'Co-distilled peers: 77.9 % mean accuracy, +5.6 points over the same peers trained alone (72.3 %) at equal ' +
        `steps. They also beat the ensemble of the peers trained alone (75.7 %). ${NOISE_SENTENCE}`,
    );
  });

  test('states a loss as plainly as a gain', () => {
    expect(compare([0.7, 0.7], [0.72, 0.72])).toContain(
      'Co-distilled peers did worse by 2.0 points: 70.0 % mean accuracy against the same peers trained alone (72.0 %)',
    );
  });

  test('claims neither gain nor loss within two standard errors of a difference', () => {
    for (const ours of [0.729, 0.711]) {
      expect(compare([ours, ours], [0.72, 0.72])).toMatch(/neither clearly better nor worse.*within noise\./);
    }
  });

  test('widens the noise as the test set shrinks', () => {
    const { compare, ...run } = exampleRun();
    const small = verdict({ ...run, compare, testSamples: 500 });
    expect(small).toContain('5.7 points is within noise');
    expect(small).toContain('neither clearly better nor worse');
  });

  test('leaves a teacher out, which is the same under both methods', () => {
    const teacher = peer('teacher-1', evaluation(0.9), { role: 'teacher' });
    const students = (accuracy: number) => [peer('student-1', evaluation(accuracy)), teacher];
    const text = verdict(runSummary(students(0.8), [methodSummary('kd', students(0.75))]));
    expect(text).toContain('80.0 % accuracy, +5.0 points over the same peer trained with kd (75.0 %)');
  });

  test('names a peer that lost while the mean gained', () => {
    expect(compare([0.8, 0.7], [0.7, 0.73])).toContain('Not every peer gained: peer-2 -3.0 points.');
  });

  test('says when NLL and calibration go the other way', () => {
    const text = verdict(
      runSummary(
        [peer('p', evaluation(0.78, 0.9, 0.15))],
        [methodSummary('independent', [peer('p', evaluation(0.72, 0.8, 0.05))])],
      ),
    );
    expect(text).toContain(
      'The peer trained with dml: 78.0 % accuracy, +6.0 points over the same peer trained alone',
    );
    expect(text).toContain('Negative log-likelihood (NLL) is worse: 0.900 against 0.800.');
    expect(text).toContain('Calibration error (ECE) is worse: 15.0 % against 5.0 %.');
  });

  test("says when steps differ, who did not finish in good order, and who began with another one's weights", () => {
    const text = verdict(
      runSummary(
        [
          peer('a', evaluation(0.78), { steps: 300, outcome: 'interrupted' }),
          peer('b', null, { outcome: 'lost' }),
          peer('c', evaluation(0.1), { collapsed: 'loss 2.30 from step 300 on' }),
          peer('d', evaluation(0.7), { startedFrom: { peer: 'a', step: 200, accuracy: 0.7 } }),
        ],
        [
          methodSummary(
            'independent',
            ['a', 'b', 'c', 'd'].map((name) => peer(name, evaluation(0.4))),
          ),
        ],
      ),
    );
    expect(text).toContain('after a different number of steps');
    expect(text).toContain(
      'Read this with care: a (trained with dml) was interrupted, b (trained with dml) was lost, c (trained with dml) collapsed and d (trained with dml) began with the weights of a at step 200.',
    );
  });

  test('leads with the comparison to training alone and adds the others', () => {
    const run = runSummary(
      [peer('a', evaluation(0.78))],
      [
        methodSummary('kd', [peer('a', evaluation(0.76))]),
        methodSummary('independent', [peer('a', evaluation(0.7))]),
      ],
    );
    expect(verdict(run)).toMatch(
      /\+8\.0 points over the same peer trained alone .* Against the same peers trained with kd \(76\.0 %\): \+2\.0 points\./,
    );
  });

  test('is null when there is nothing to compare', () => {
    expect(verdict(runSummary([peer('a', evaluation(0.7))], []))).toBeNull();
    expect(
      verdict(runSummary([peer('a', null)], [methodSummary('independent', [peer('a', evaluation(0.7))])])),
    ).toBeNull();
  });
});
