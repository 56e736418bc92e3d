import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../src/errors.ts';
import { syncFolder } from '../../src/results/files.ts';
import { type EncodedRecord, encodeRound, encodeSnapshot } from './record.ts';
import { openSegment, type Segment } from './segment.ts';
import type { Journal, RunSnapshot } from './types.ts';

export interface FileJournalOptions {
  /** The most bytes on the disk; the oldest rounds go first. */
  readonly maxBytes: number;
  /** Told once when the disk takes no more, and when it does again. */
  readonly notify: (event: 'journalFailed' | 'journalRecovered', reason: string) => void;
}

export interface FileJournal extends Journal {
  /** The run as it was left; `null` when the folder is new. */
  readonly left: RunSnapshot | null;
  close(): void;
}

/**
 * How often what was written is made to outlive a power cut, and the disk looked at, in milliseconds. A killed process is
 * outlived at once.
 */
const SYNC_EVERY_MS = 1_000;

/** Whether a folder holds the journal of a run. */
export function hasJournal(folder: string): boolean {
  return existsSync(join(folder, 'current.journal')) || existsSync(join(folder, 'previous.journal'));
}

/**
 * A journal in two files: when the current one has half of the bytes, it takes the place of the previous one, and a new
 * one begins with a snapshot. When the disk is full, the run goes on without a journal until there is room again.
 */
export function fileJournal(folder: string, { maxBytes, notify }: FileJournalOptions): FileJournal {
  mkdirSync(folder, { recursive: true });
  const currentPath = join(folder, 'current.journal');
  const previousPath = join(folder, 'previous.journal');
  let previous: Segment | null = existsSync(previousPath) ? openSegment(previousPath) : null;
  let current = openSegment(currentPath);
  const left = lastState(previous, current);
  let latest = left;
  let failing = false;
  /** Since the last look at the disk. */
  let failedLately = false;
  let unsynced = false;
  /** Whether the folder has names that a power cut would take back. */
  let unsyncedNames = true;

  const rotate = (): void => {
    current.sync();
    renameSync(currentPath, previousPath);
    previous?.close();
    previous = current;
    current = openSegment(currentPath);
    unsyncedNames = true;
    if (latest) current.append(encodeSnapshot(latest));
  };

  const append = (record: EncodedRecord): void => {
    const bytes = record.parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    try {
      if (current.bytes > 0 && current.bytes + bytes > maxBytes / 2) rotate();
      current.append(record);
      unsynced = true;
    } catch (error) {
      if (!failing) notify('journalFailed', `${messageOf(error)}: peers that come back miss these rounds`);
      failing = true;
      failedLately = true;
    }
  };

  const timer = setInterval(() => {
    // A disk that is nearly full takes the small records, and not the large ones.
    if (failing && unsynced && !failedLately) {
      failing = false;
      notify('journalRecovered', 'the disk takes the journal again');
    }
    failedLately = false;
    if (unsynced) current.sync();
    // Not every file system can; a failure of the disk shows at the next append.
    if (unsyncedNames) syncFolder(folder).catch(() => {});
    unsynced = false;
    unsyncedNames = false;
  }, SYNC_EVERY_MS);
  timer.unref();

  return {
    left,
    answered(round) {
      const { lastClosed, committed, missed, quarantined } = round;
      if (latest) latest = { ...latest, lastClosed, committed, missed, quarantined };
      append(encodeRound(round));
    },
    snapshot(run) {
      latest = run;
      append(encodeSnapshot(run));
    },
    recall: (round, peer) => current.recall(round, peer) ?? previous?.recall(round, peer) ?? null,
    close() {
      clearInterval(timer);
      current.close();
      previous?.close();
    },
  };
}

/** The last snapshot, with the counters of the rounds after it. */
function lastState(previous: Segment | null, current: Segment): RunSnapshot | null {
  const snapshot = current.snapshot ?? previous?.snapshot;
  if (snapshot?.kind !== 'snapshot') return null;
  const { kind, ...run } = snapshot;
  const { lastClosed, committed, missed, quarantined } = current.last ?? previous!.last!;
  return { ...run, lastClosed, committed, missed, quarantined };
}
