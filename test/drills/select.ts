import type { HistoryRecord, Received, Sent } from './history.ts';

/** A promise that a history breaks, and how. */
export interface Violation {
  readonly promise: 'P1' | 'P2' | 'P3' | 'P4' | 'P5' | 'P6' | 'P7' | 'P8' | 'P9';
  readonly detail: string;
}

type Of<K extends HistoryRecord['kind']> = Extract<HistoryRecord, { kind: K }>;
type SentAt = Sent & { readonly at: number };
type ReceivedAt = Received & { readonly at: number };

export const of = <K extends HistoryRecord['kind']>(history: readonly HistoryRecord[], kind: K): Of<K>[] =>
  history.filter((record): record is Of<K> => record.kind === kind);

export const isAnswer = ({ type }: Received): boolean => type === 'target' || type === 'noTarget';

export const contributionsOf = (history: readonly HistoryRecord[]): SentAt[] =>
  of(history, 'sent').filter(({ type }) => type === 'logits');

export const answersOf = (history: readonly HistoryRecord[]): ReceivedAt[] =>
  of(history, 'received').filter(isAnswer);

export function groups<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const group = found.get(key(item));
    if (group) group.push(item);
    else found.set(key(item), [item]);
  }
  return found;
}
