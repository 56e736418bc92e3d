import { execFile } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type FileJournal, fileJournal, hasJournal } from '../../../coordinator/journal/fileJournal.ts';
import type { AnsweredRound, RunSnapshot } from '../../../coordinator/journal/types.ts';
import { programPath } from '../../../src/paths.ts';
import { createRandom } from '../../../src/random.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const MISSED = { noTeachers: 0, quorum: 0, late: 0, refused: 0 };

function snapshot(lastClosed: number): RunSnapshot {
  return {
    id: 'run',
    phase: 'training',
    wants: null,
    keys: [],
    lastClosed,
    committed: lastClosed + 1,
    missed: MISSED,
    quarantined: {},
    members: [],
  };
}

/** A round in which each of `peers` was answered with bytes that tell which round and peer it is. */
function answered(round: number, peers: readonly string[] = ['a', 'b'], bytes = 40): AnsweredRound {
  return {
    ...{ round, lastClosed: round, committed: round + 1, missed: MISSED, quarantined: {} },
    answers: peers.map((peer) => [peer, frameOf(round, peer, bytes)]),
  };
}

function frameOf(round: number, peer: string, bytes = 40): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, i) => (round * 31 + peer.charCodeAt(0) + i) % 256);
}

function open(folder: string, maxBytes = 1024 ** 2, notes: string[] = []): FileJournal {
  return fileJournal(folder, { maxBytes, notify: (event) => notes.push(event) });
}

describe('a journal', () => {
  it('answers what it was told, and nothing else, also after it was opened again', async () => {
    const folder = join(await temporaryFolder(), 'journal');
    expect(hasJournal(folder)).toBe(false);
    const first = open(folder);
    expect(first.left).toBeNull();
    first.snapshot(snapshot(-1));
    for (let round = 0; round < 20; round++) first.answered(answered(round));
    first.answered(answered(3, ['c']));
    // As after SIGKILL: never closed.
    const second = open(folder);
    expect(hasJournal(folder)).toBe(true);
    for (const journal of [first, second]) {
      expect(journal.recall(7, 'b')).toEqual(frameOf(7, 'b'));
      expect(journal.recall(3, 'c')).toEqual(frameOf(3, 'c'));
      expect([journal.recall(7, 'c'), journal.recall(20, 'a')]).toEqual([null, null]);
    }
    expect(second.left).toEqual({ ...snapshot(-1), lastClosed: 3, committed: 4 });
    first.close();
    second.close();
  });

  it('takes the counters of the latest round, and all else of the latest snapshot', async () => {
    const folder = await temporaryFolder();
    const first = open(folder);
    first.snapshot(snapshot(-1));
    first.answered(answered(0));
    first.snapshot({ ...snapshot(0), phase: 'finished' });
    const quarantined = { b: 'constant' } as const;
    first.answered({ ...answered(1), missed: { ...MISSED, late: 2 }, quarantined });
    first.close();
    const again = open(folder);
    const missed = { ...MISSED, late: 2 };
    expect(again.left).toEqual({ ...snapshot(1), phase: 'finished', missed, quarantined });
    again.close();
  });

  it('holds the latest rounds within its bound, however many there were', async () => {
    const folder = await temporaryFolder();
    const maxBytes = 20_000;
    const journal = open(folder, maxBytes);
    journal.snapshot(snapshot(-1));
    for (let round = 0; round < 1000; round++) journal.answered(answered(round, ['a', 'b'], 500));
    const bytes = ['current', 'previous'].map((name) => statSync(join(folder, `${name}.journal`)).size);
    expect(bytes[0]! + bytes[1]!).toBeLessThanOrEqual(maxBytes);
    // At least half of the bound is in use for answers.
    for (let round = 992; round < 1000; round++) {
      expect(journal.recall(round, 'a')).toEqual(frameOf(round, 'a', 500));
    }
    expect(journal.recall(0, 'a')).toBeNull();
    journal.close();
    const again = open(folder, maxBytes);
    expect(again.left).toMatchObject({ id: 'run', lastClosed: 999, committed: 1000 });
    expect(again.recall(999, 'b')).toEqual(frameOf(999, 'b', 500));
    again.close();
  });

  it('ends at the last whole record, wherever the writing was cut off', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'current.journal');
    const journal = open(folder);
    journal.snapshot(snapshot(-1));
    const ends = [statSync(path).size];
    for (let round = 0; round < 4; round++) {
      journal.answered(answered(round));
      ends.push(statSync(path).size);
    }
    journal.close();
    const whole = readFileSync(path);
    for (let length = ends[0]!; length <= whole.length; length += 3) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      const cut = open(folder);
      const rounds = ends.filter((end) => end <= length).length - 1;
      expect(cut.left?.lastClosed, `${length} bytes`).toBe(rounds - 1);
      expect(cut.recall(rounds, 'a')).toBeNull();
      // What is written from here on is sound again.
      cut.answered(answered(rounds));
      cut.close();
      const after = open(folder);
      expect(after.left?.lastClosed).toBe(rounds);
      expect(after.recall(rounds, 'b')).toEqual(frameOf(rounds, 'b'));
      after.close();
    }
  });

  it('never gives back what has changed on the disk', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'current.journal');
    const journal = open(folder);
    journal.snapshot(snapshot(-1));
    for (let round = 0; round < 4; round++) journal.answered(answered(round));
    journal.close();
    const whole = readFileSync(path);
    const random = createRandom('flips');
    for (let i = 0; i < 100; i++) {
      const flipped = Buffer.from(whole);
      const at = random.below(whole.length);
      flipped[at] = flipped[at]! ^ (1 << random.below(8));
      writeFileSync(path, flipped);
      const damaged = open(folder);
      for (let round = 0; round < 4; round++) {
        expect([frameOf(round, 'a'), null]).toContainEqual(damaged.recall(round, 'a'));
      }
      damaged.close();
    }
  });

  it('goes on without a disk that is full, says so once, and is sound as far as it goes', async () => {
    const folder = await temporaryFolder();
    const notes = await onFullDisk(folder, 'for (let round = 0; round < 40; round++) write(round, 500);');
    expect(notes).toEqual(['journalFailed']);
    const again = open(folder);
    const { lastClosed } = again.left!;
    expect(lastClosed).toBeGreaterThan(5);
    expect(lastClosed).toBeLessThan(39);
    expect(again.recall(lastClosed, 'a')).toEqual(new Uint8Array(500).fill(lastClosed));
    // There is room again.
    again.answered(answered(lastClosed + 1));
    expect(again.recall(lastClosed + 1, 'a')).toEqual(frameOf(lastClosed + 1, 'a'));
    again.close();
  });

  it('says that the disk takes it again when it takes all of it', async () => {
    const notes = await onFullDisk(
      await temporaryFolder(),
      `
      for (let round = 0; round < 40; round++) write(round, 500);
      // Of a disk that is nearly full, the small ones find a place.
      for (let round = 40; round < 50; round++) write(round, round % 2 ? 500 : 1);
      notes.push('room');
      execFileSync('prlimit', ['--fsize=unlimited', '--pid', process.pid]);
      const timer = setInterval(() => write(50, 500), 50);
      await new Promise((resolve) => journalRecovered = resolve);
      clearInterval(timer);`,
    );
    expect(notes).toEqual(['journalFailed', 'room', 'journalRecovered']);
  });
});

/** What a journal notes in a program whose files may have 8 KiB and no more. @param body writes rounds of some bytes */
async function onFullDisk(folder: string, body: string): Promise<string[]> {
  const script = `
    const { execFileSync } = await import('node:child_process');
    const { fileJournal } = await import(${JSON.stringify(programPath('coordinator/journal/fileJournal.js'))});
    const notes = [];
    let journalRecovered = () => {};
    const notify = (event) => {
      notes.push(event);
      if (event === 'journalRecovered') journalRecovered();
    };
    const journal = fileJournal(process.argv[1], { maxBytes: 2 ** 20, notify });
    const counters = { committed: 0, missed: {} };
    journal.snapshot({ id: 'run', phase: 'training', wants: null, lastClosed: -1, members: [], ...counters });
    const write = (round, bytes) =>
      journal.answered({ round, lastClosed: round, ...counters, answers: [['a', new Uint8Array(bytes).fill(round)]] });
    ${body}
    console.log(JSON.stringify(notes));`;
  const limited = `ulimit -S -f 8; exec "$0" --input-type=module -e "$1" "$2"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', limited, process.execPath, script, folder]);
  return JSON.parse(stdout);
}
