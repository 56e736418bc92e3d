import type { Journal, RunSnapshot } from '../../coordinator/journal/types.ts';

/** A coordinator's disk: it outlives the coordinator, and may be full for a time. */
export interface Disk {
  readonly journal: Journal;
  /** What a coordinator finds there. */
  left(): RunSnapshot | null;
  full: boolean;
  /** Whether anything was not written since it was full. */
  readonly lossy: boolean;
  /** Called after the next write, once. */
  onWrite: (() => void) | null;
}

/** @param keep answers are kept of so many rounds */
export function createDisk(keep: number): Disk {
  const answers = new Map<number, Map<string, Uint8Array<ArrayBuffer>>>();
  let snapshot: RunSnapshot | null = null;
  let lossy = false;
  const write = (action: () => void): void => {
    if (disk.full) {
      lossy = true;
      return;
    }
    action();
    const told = disk.onWrite;
    disk.onWrite = null;
    told?.();
  };
  const disk: Disk = {
    full: false,
    onWrite: null,
    get lossy() {
      return lossy;
    },
    left: () => structuredClone(snapshot),
    journal: {
      answered({ round, answers: frames, ...counters }) {
        write(() => {
          if (snapshot) snapshot = { ...snapshot, ...counters };
          const its = answers.get(round) ?? new Map<string, Uint8Array<ArrayBuffer>>();
          for (const [peer, frame] of frames) its.set(peer, frame);
          answers.delete(round);
          answers.set(round, its);
          if (answers.size > keep) answers.delete([...answers.keys()][0]!);
        });
      },
      snapshot(run) {
        write(() => {
          snapshot = structuredClone(run);
          // A file that was full for a time goes on from a whole picture.
          lossy = false;
        });
      },
      recall: (round, peer) => answers.get(round)?.get(peer) ?? null,
    },
  };
  return disk;
}
