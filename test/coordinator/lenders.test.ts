import { describe, expect, it } from 'vitest';
import { lenderFor } from '../../coordinator/lenders.ts';
import type { Member, Members } from '../../coordinator/members.ts';
import { readyWith, startedRun } from './support.ts';

type Changes = Partial<Omit<Member, 'name' | 'role'>>;

const ready = readyWith({ lends: true });
const evaluatedAt = (accuracy: number): Changes => ({ evaluation: { accuracy, nll: 1, ece: 0 } });

/** Students (and teachers, whose names begin with a "t") in training that lend, were evaluated, and differ in this. */
function membersWith(changes: Readonly<Record<string, Changes>>): Members {
  const names = [...new Set([...Object.keys(changes), 'z'])];
  const { members } = startedRun(names);
  for (const name of names) Object.assign(members.get(name)!, { ready }, evaluatedAt(0.5), changes[name]);
  return members;
}

/** Whose weights `z` gets, or why none. */
function outcome(members: Members, failed: Readonly<Record<string, string>> = {}): string {
  const found = lenderFor(members, members.get('z')!, ({ name }) => failed[name] ?? null);
  return 'lender' in found ? found.lender.name : found.reason;
}

describe('the lender of weights', () => {
  it('is the most accurate at its last evaluation, the first by name of equal ones', () => {
    const best = { best: { step: 1, accuracy: 1, nll: 1, ece: 0 } };
    const members = membersWith({
      a: { ...evaluatedAt(0.3), ...best },
      c: evaluatedAt(0.7),
      b: evaluatedAt(0.7),
    });
    expect(outcome(members)).toBe('b');
  });

  it('is never the newcomer, who may have been better in an earlier life', () => {
    expect(outcome(membersWith({ a: evaluatedAt(0.2), z: evaluatedAt(0.9) }))).toBe('a');
  });

  it.each<[string, Changes]>([
    ['away', { connected: false }],
    ['done', { state: 'done' }],
    ['not started', { state: 'ready' }],
    ['lost', { state: 'lost' }],
  ])('is not one that is %s', (_, changes) => {
    expect(outcome(membersWith({ a: changes }))).toBe('no other student is in training');
    expect(outcome(membersWith({ a: { ...changes, ...evaluatedAt(0.9) }, b: {} }))).toBe('b');
  });

  it('is no teacher', () => {
    expect(outcome(membersWith({ t: {} }))).toBe('no other student is in training');
  });

  it('has the model of the newcomer, with as many parameters', () => {
    const members = membersWith({ a: { model: 'mlp' }, b: { ready: { ...ready, parameters: 7 } } });
    expect(outcome(members)).toBe(
      'nobody has the same model, cnn-s (100 parameters): a has mlp (100 parameters), b has cnn-s (7 parameters)',
    );
  });

  it('may have its module elsewhere', () => {
    expect(outcome(membersWith({ a: { model: './a.js' }, z: { model: '/home/z.js' } }))).toBe('a');
    expect(outcome(membersWith({ a: { model: './a.js' }, z: {} }))).toMatch(/^nobody has the same model/);
  });

  it.each<[Changes, string]>([
    [{ ready: readyWith() }, 'keeps its weights to itself'],
    [{ evaluation: null }, 'was not evaluated yet'],
    [{ collapsed: 'it guesses' }, 'has collapsed'],
  ])('is not one of which no good is to be expected (%#)', (changes, reason) => {
    expect(outcome(membersWith({ a: changes, b: {} }))).toBe('b');
    expect(outcome(membersWith({ a: changes }))).toBe(`a ${reason}`);
  });

  it('is not one that failed before', () => {
    const members = membersWith({ a: evaluatedAt(0.9), b: {} });
    expect(outcome(members, { a: 'has left' })).toBe('b');
    expect(outcome(members, { a: 'has left', b: 'is late' })).toBe('a has left, b is late');
  });
});
