import { describe, expect, it } from 'vitest';
import { createHealth } from '../../src/training/health.ts';

const GUESSING = Math.log(10);
const ADVICE = 'try a lower learning rate, warm-up steps or a longer burn-in';
const health = () => createHealth(10, 100);

describe('the health of a student', () => {
  it('is good while its loss is below that of guessing', () => {
    const student = health();
    for (const step of [1, 100, 101, 500]) expect(student.observe(step, 0.97 * GUESSING)).toBeNull();
  });

  it('collapses when the loss stands at that of guessing, and is told once', () => {
    const student = health();
    expect(student.observe(101, 0.99 * GUESSING)).toEqual({
      event: 'collapsed',
      reason: `loss 2.280 at step 101 is no better than guessing (ln 10 = 2.303); ${ADVICE}`,
    });
    expect(student.observe(102, 3)).toBeNull();
  });

  it('draws the line at 98 % of the loss of guessing', () => {
    expect(health().observe(101, 0.9799 * GUESSING)).toBeNull();
    expect(health().observe(101, 0.98 * GUESSING)?.event).toBe('collapsed');
  });

  it('is not doubted in the first steps, in which nothing may have been learnt yet', () => {
    const student = health();
    expect(student.observe(100, 3)).toBeNull();
    expect(student.observe(101, 3)?.event).toBe('collapsed');
  });

  it.each([NaN, Infinity])('collapses at a loss of %d even in the first steps', (loss) => {
    expect(health().observe(1, loss)).toEqual({
      event: 'collapsed',
      reason: `loss is not finite at step 1; ${ADVICE}`,
    });
  });

  it('recovers, is told once, and can collapse again', () => {
    const student = health();
    student.observe(200, NaN);
    expect(student.observe(300, 1.23456)).toEqual({ event: 'recovered', reason: 'loss 1.235 at step 300' });
    expect(student.observe(400, 1.2)).toBeNull();
    expect(student.observe(500, 2.3)?.event).toBe('collapsed');
  });
});
