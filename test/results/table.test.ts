import { describe, expect, test } from 'vitest';
import { resultTable } from '../../src/results/table.ts';
import { evaluation, exampleRun, methodSummary, peer, runSummary } from './example.ts';

describe('resultTable', () => {
  test('puts each method under the other for every peer and the ensemble', () => {
    expect(resultTable(exampleRun())).toMatchInlineSnapshot(`
      "┌──────────┬─────────┬─────────────┬──────────┬───────────┬───────┬───────┐
      │ peer     │ model   │ method      │ accuracy │ dml gains │   NLL │   ECE │
      ├──────────┼─────────┼─────────────┼──────────┼───────────┼───────┼───────┤
      │ peer-1   │ cnn-s   │ dml         │   77.4 % │           │ 0.701 │ 4.1 % │
      │          │         │ independent │   71.9 % │      +5.5 │ 0.842 │ 6.1 % │
      ├──────────┼─────────┼─────────────┼──────────┼───────────┼───────┼───────┤
      │ peer-2   │ resnet8 │ dml         │   78.4 % │           │ 0.684 │ 3.7 % │
      │          │         │ independent │   72.7 % │      +5.7 │ 0.823 │ 6.6 % │
      ├──────────┼─────────┼─────────────┼──────────┼───────────┼───────┼───────┤
      │ ensemble │         │ dml         │   79.0 % │           │ 0.660 │ 5.0 % │
      │          │         │ independent │   75.7 % │      +3.3 │ 0.740 │ 9.0 % │
      └──────────┴─────────┴─────────────┴──────────┴───────────┴───────┴───────┘

      dml: 1 min 2 s; peers agree on 86.1 % of the test samples; 625 rounds, 3 targets missed
        peer-1: 812 img/s, waiting 3.1 %, overhead +4.2 %, 1.0 MB up, 1.0 MB down
        peer-2: 812 img/s, waiting 3.1 %, overhead +4.2 %, 1.0 MB up, 1.0 MB down

      independent: 1 min 2 s; peers agree on 71.0 % of the test samples
        peer-1: 812 img/s, waiting 3.1 %
        peer-2: 812 img/s, waiting 3.1 %, overhead +4.2 %"
    `);
  });

  test('puts what the generations of a peer are together below the peers', () => {
    const generations = { each: [evaluation(0.68), evaluation(0.7)], ensemble: evaluation(0.745, 0.6, 0.02) };
    const rows = resultTable(
      runSummary(
        [peer('peer-1', evaluation(0.7), { generations }), peer('peer-2', evaluation(0.6))],
        [methodSummary('independent', [peer('peer-1', evaluation(0.65))])],
      ),
    ).split('\n');
    const row = rows.findIndex((line) => line.includes('generations'));
    expect(rows[row]).toContain('peer-1 │ generations │ dml         │   74.5 % │           │ 0.600 │ 2.0 %');
    expect(rows[row + 1]).toMatch(/independent │ +– │ +– │ +– │ +– │$/);
    expect(rows.filter((line) => line.includes('generations'))).toHaveLength(1);
  });

  test('shows the best epoch, and says how it was chosen, only where it is asked for', () => {
    const best = (accuracy: number, step: number) => ({ best: { ...evaluation(accuracy), step } });
    const text = resultTable(
      runSummary(
        [peer('peer-1', evaluation(0.7), best(0.725, 1200)), peer('peer-2', evaluation(0.6))],
        [methodSummary('independent', [peer('peer-1', evaluation(0.65), best(0.66, 300))])],
      ),
    );
    expect(text).toContain(
      [
        'best epoch (chosen on the test set), dml: peer-1 72.5 % at step 1,200',
        'best epoch (chosen on the test set), independent: peer-1 66.0 % at step 300',
      ].join('\n'),
    );
    expect(text, 'and the last one in its place').toMatch(/peer-1 .* 70\.0 % /);
    expect(resultTable(exampleRun())).not.toContain('best');
  });

  test('tells of missed targets also when no round had one', () => {
    const exchange = { rounds: 0, missed: { refused: 7 }, staleness: 0 };
    const summary = runSummary([peer('peer-1', evaluation(0.1))], [], { exchange });
    expect(resultTable(summary)).toContain('0 rounds, 7 targets missed');
  });

  test('fits 100 columns and shows no control characters, whatever the names', () => {
    const long = 'a-name-that-is-much-longer-than-any-column-of-a-table';
    const text = resultTable(
      runSummary(
        [
          peer(long, evaluation(0.7), {
            model: long,
            outcome: 'lost',
            best: { ...evaluation(0.7), step: 3 },
          }),
        ],
        [methodSummary(long, [peer(long, evaluation(0.7), { collapsed: `${long} `.repeat(9) })])],
        { verdict: `${long} `.repeat(9).trim() },
      ),
    );
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    expect(text).not.toContain('\u001b');
  });

  test('marks peers that were lost, interrupted, collapsed or in quarantine, in the row and below', () => {
    const text = resultTable(
      runSummary(
        [
          peer('a', null, { outcome: 'lost', steps: 310 }),
          peer('b', evaluation(0.5), { outcome: 'interrupted', steps: 320 }),
          peer('c', evaluation(0.1), { collapsed: 'loss 2.30, that of guessing, from step 300 on' }),
          peer('d', evaluation(0.6), { quarantined: 'replayed: says it again' }),
          peer('e', null, { outcome: 'lost', steps: 3, quarantined: 'non-finite: kept sending it' }),
          peer('f', evaluation(0.7), { startedFrom: { peer: 'd', step: 1200, accuracy: 0.5 } }),
          peer('g', evaluation(0.7), { startedFrom: { peer: null, reason: 'nobody has trained yet' } }),
        ],
        [],
        { interrupted: true },
      ),
    );
    expect(text).toContain('dml ! lost');
    expect(text).toContain('dml ! interrupted');
    expect(text).toContain('dml ! collapsed');
    expect(text).toContain('dml ! quarantined');
    expect(text).toContain('dml (interrupted): ');
    expect(text).toContain('! a (dml) lost: after 310 steps');
    expect(text).toContain('! c (dml) collapsed: loss 2.30, that of guessing, from step 300 on');
    expect(text).toContain('! d (dml) quarantined: nobody learned from it; replayed: says it again');
    expect(text).toContain(
      '! e (dml) lost: after 3 steps; nobody learned from it; non-finite: kept sending it',
    );
    expect(text).toContain('! f (dml) began with the weights of d at step 1,200');
    expect(text).not.toContain('g (dml)');
  });
});
