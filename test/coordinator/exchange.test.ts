import { describe, expect, it } from 'vitest';
import { receiveLogits } from '../../coordinator/exchange.ts';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import { getCodec } from '../../src/codec/index.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import {
  batchOf,
  closesOf,
  emptyRun,
  eventsOf,
  helloOf,
  logitsOf,
  readyWith,
  rowsOf,
  sentBy,
  settingsWith,
  startedRun,
  tensorOf,
} from './support.ts';

type Target = MessageOf<CoordinatorMessage, 'target'>;

function send(run: Run, peer: string, message: MessageOf<PeerMessage, 'logits'>, nowMs = 0): RunEffect[] {
  return receiveLogits(run, run.members.get(peer)!, message, nowMs);
}

/** The targets among `effects`: for which connection, and the teacher logits as numbers. */
function targetsOf(effects: readonly RunEffect[]): Map<number, number[]> {
  return new Map(
    sentBy(effects).flatMap(([to, message]) =>
      message.type === 'target' ? [[to, [...decoded(message.logits!)]] as const] : [],
    ),
  );
}

function decoded({ codec, data, shape }: NonNullable<Target['logits']>): Float32Array {
  return getCodec(codec).decode(data, ...shape);
}

describe('receiveLogits', () => {
  it('gives each of two students the predictions of the other', () => {
    const run = startedRun(['a', 'b']);
    expect(send(run, 'b', logitsOf(0, [4, 1]))).toEqual([]);
    const effects = send(run, 'a', logitsOf(0, [-2, 3]));
    expect(targetsOf(effects)).toEqual(
      new Map([
        [1, [0, -3]],
        [2, [-5, 0]],
      ]),
    );
    const [, message] = sentBy(effects)[0]!;
    expect(message).toEqual({
      ...{ type: 'target', round: 0, batch: batchOf(0), view: 'shared', teachers: 1 },
      logits: { codec: 'float32', shape: [1, 2], data: expect.anything() },
    });
    expect(run.committed).toBe(1);
  });

  it('teaches each of three students what the other two predict, as the protocol computes it by hand', () => {
    const run = startedRun(['a', 'b', 'c'], settingsWith(), readyWith({ classes: 3 }));
    send(run, 'a', logitsOf(0, [0, 1, 2]));
    send(run, 'b', logitsOf(0, [3, 0, 0]));
    const effects = send(run, 'c', logitsOf(0, [-1, 7, 4]));
    const expected = [0, -1.28589, -0.56797];
    for (const [i, value] of targetsOf(effects).get(3)!.entries()) expect(value).toBeCloseTo(expected[i]!, 5);
    expect(sentBy(effects).map(([, message]) => message)).toMatchObject([
      { teachers: 2 },
      { teachers: 2 },
      { teachers: 2 },
    ]);
  });

  it('never lets a student teach itself', () => {
    const targetOfA = (own: readonly number[]): number[] => {
      const run = startedRun(['a', 'b', 'c']);
      send(run, 'a', logitsOf(0, own));
      send(run, 'b', logitsOf(0, [1, 2]));
      return targetsOf(send(run, 'c', logitsOf(0, [5, 0]))).get(1)!;
    };
    expect(targetOfA([100, -100])).toEqual(targetOfA([-3, 4]));
  });

  it('answers in the codec of the experiment', () => {
    const run = startedRun(['a', 'b'], settingsWith({ codec: 'float16' }));
    const data = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0);
    const half = rowsOf(0, { logits: { codec: 'float16', shape: [1, 2], data } });
    send(run, 'a', half);
    const effects = send(run, 'b', half);
    // 1 and -2, shifted by the larger one.
    expect(targetsOf(effects).get(1)).toEqual([0, -3]);
    expect(sentBy(effects)[0]![1]).toMatchObject({ logits: { codec: 'float16', data: { byteLength: 4 } } });
  });

  it('keeps the digest of the batch after the frame that it came in', () => {
    const run = startedRun(['a', 'b']);
    const message = logitsOf(3);
    send(run, 'a', message);
    message.batch.fill(0xff);
    message.logits!.data.fill(0xff);
    const effects = send(run, 'b', logitsOf(3));
    expect(sentBy(effects)[0]![1]).toMatchObject({ type: 'target', batch: batchOf(3) });
    expect(targetsOf(effects).get(2)).toEqual([-1, 0]);
  });

  it.each([NaN, Infinity, -Infinity])('refuses logits with %d, and goes on with the others', (value) => {
    const run = startedRun(['a', 'b', 'c']);
    const detail = 'the logits hold values that are not finite';
    const effects = send(run, 'a', logitsOf(0, [0, value]));
    expect(effects).toContainEqual({
      type: 'event',
      record: { event: 'missed', peer: 'a', round: 0, reason: `refused: ${detail}` },
    });
    expect(sentBy(effects)).toEqual([[1, { type: 'noTarget', round: 0, reason: 'refused', detail }]]);
    send(run, 'b', logitsOf(0));
    expect([...targetsOf(send(run, 'c', logitsOf(0))).keys()]).toEqual([2, 3]);
    expect(run.missed).toEqual({ noTeachers: 0, quorum: 0, late: 0, refused: 1 });
  });

  it('refuses rows of other samples than the round has', () => {
    const run = startedRun(['a', 'b', 'c']);
    send(run, 'a', logitsOf(0));
    const effects = send(run, 'b', logitsOf(0, [0, 1], { batch: batchOf(9) }));
    expect(sentBy(effects)).toMatchObject([[2, { type: 'noTarget', round: 0, reason: 'refused' }]]);
  });

  it.each([
    [{ shape: [2, 2] as [number, number] }, 'logits.logits.shape: expected [1,2], got [2,2]'],
    [{ shape: [1, 3] as [number, number] }, 'logits.logits.shape: expected [1,2], got [1,3]'],
    [{ codec: 'float16' }, 'logits.logits.codec: expected float32, got float16'],
  ])('closes the connection of a student with %o', (changes, reason) => {
    const run = startedRun(['a', 'b']);
    const logits = { ...tensorOf([0, 1]), ...changes };
    expect(send(run, 'b', rowsOf(0, { logits }))).toEqual([
      { type: 'close', connection: 2, code: 4007, reason },
      { type: 'event', record: { event: 'malformed', peer: 'b', reason } },
    ]);
  });

  it('closes the connection of a student that has not started', () => {
    const run = emptyRun(['a', 'b']);
    hello(run, 1, helloOf('a'), 0);
    receive(run, 'a', readyWith(), 0);
    expect(closesOf(send(run, 'a', logitsOf(0)))).toEqual([[1, 4007, 'logits: expected after start']]);
  });
});

describe('a round', () => {
  it('that the training does not have is malformed', () => {
    const run = startedRun(['a', 'b']);
    // 25 epochs of 8 samples, one a batch.
    expect(send(run, 'a', logitsOf(199))).toEqual([]);
    const reason = 'logits.round: expected a step of the training, below 200, got 200';
    expect(closesOf(send(run, 'b', logitsOf(200)))).toEqual([[2, 4007, reason]]);
    expect([...run.rounds.open.keys()]).toEqual([199]);
  });
});

describe('perform', () => {
  it('tells a late student where to go on', () => {
    const run = startedRun(['a', 'b', 'c'], settingsWith({ maxWait: '1s' }));
    send(run, 'a', logitsOf(0));
    send(run, 'b', logitsOf(0));
    expect([...targetsOf(advance(run, 1000)).keys()]).toEqual([1, 2]);
    const effects = send(run, 'c', logitsOf(0), 1001);
    expect(sentBy(effects)).toMatchObject([
      [3, { type: 'noTarget', round: 0, reason: 'late', nextRound: 1 }],
    ]);
    expect(run.missed.late).toBe(1);
  });

  it('counts and records what it cannot tell a student that is away', () => {
    const run = startedRun(['a', 'b']);
    send(run, 'a', logitsOf(0));
    disconnected(run, 'a', 1, 'gone', 0);
    const effects = disconnected(run, 'b', 2, 'gone', 0);
    expect(eventsOf(effects)).toEqual(['left b', 'missed a']);
    expect(sentBy(effects)).toEqual([]);
    expect(run.missed.noTeachers).toBe(1);
  });
});
