import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { ProtocolError } from '../../src/protocol/protocolError.ts';
import { decodeCoordinatorMessage, decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { pack, Raw } from '../fixtures/wire/msgpack.ts';

const logits: MessageOf<PeerMessage, 'logits'> = {
  type: 'logits',
  round: 3,
  batch: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  view: 'shared',
  step: 3,
  logits: { codec: 'float16', shape: [1, 2], data: Uint8Array.of(9, 10, 11, 12) },
};
const { logits: tensor } = logits;

/** The same message with other bytes in its tensor. */
const withData = (data: Uint8Array): typeof logits => ({ ...logits, logits: { ...tensor!, data } });

const welcome = (experiment: Record<string, unknown>): MessageOf<CoordinatorMessage, 'welcome'> => ({
  type: 'welcome',
  protocol: 1,
  run: 'run',
  name: 'peer-1',
  model: 'cnn-s',
  experiment,
});

const sent = (value: unknown) => () => encodeMessage(welcome({ value }));

describe('encodeMessage', () => {
  it('returns bytes of their own, which later calls leave alone', () => {
    const first = encodeMessage(logits);
    const copy = first.slice();
    for (let round = 0; round < 100; round++) encodeMessage({ ...logits, round });
    expect(first).toEqual(copy);
    expect(first.constructor).toBe(Uint8Array);
    expect(first.buffer.byteLength).toBe(first.byteLength);
  });

  it('copies the bytes of a tensor', () => {
    const data = Uint8Array.of(1, 2, 3, 4);
    const frame = encodeMessage(withData(data));
    data.fill(0);
    expect(decodePeerMessage(frame)).toMatchObject({ logits: { data: Uint8Array.of(1, 2, 3, 4) } });
  });

  it('takes views and Buffers as the bytes that they span', () => {
    const frame = encodeMessage(logits);
    const larger = Uint8Array.of(0, 9, 10, 11, 12, 0);
    expect(encodeMessage(withData(larger.subarray(1, 5)))).toEqual(frame);
    expect(encodeMessage(withData(Buffer.of(9, 10, 11, 12)))).toEqual(frame);
  });

  it.each([
    new Float32Array(2),
    new Float64Array(1),
    new Uint16Array(2),
    new Int8Array(4),
    new Uint8ClampedArray(4),
    new DataView(new ArrayBuffer(4)),
    new ArrayBuffer(4),
  ])('refuses %o in place of bytes', (data) => {
    expect(() => encodeMessage(withData(data as unknown as Uint8Array))).toThrow(
      new TypeError(`logits.logits.data: ${data.constructor.name} cannot be sent`),
    );
  });

  it('refuses what a receiver would read as something else', () => {
    expect(sent(NaN)).toThrow('welcome.experiment.value: NaN cannot be sent');
    expect(sent([1, -Infinity])).toThrow('welcome.experiment.value[1]: -Infinity cannot be sent');
    expect(sent([undefined])).toThrow('welcome.experiment.value[0]: undefined cannot be sent');
    expect(sent(1n)).toThrow('welcome.experiment.value: a bigint cannot be sent');
    expect(sent(() => 1)).toThrow('welcome.experiment.value: a function cannot be sent');
    expect(sent(new Date(0))).toThrow('welcome.experiment.value: Date cannot be sent');
    expect(sent(new Map())).toThrow('welcome.experiment.value: Map cannot be sent');
  });

  it('works again after it has refused', () => {
    expect(sent(new Set())).toThrow(TypeError);
    expect(decodePeerMessage(encodeMessage(logits))).toEqual(logits);
  });

  it('leaves out fields that are undefined', () => {
    expect(decodeCoordinatorMessage(encodeMessage(welcome({ seed: 0, name: undefined })))).toEqual(
      welcome({ seed: 0 }),
    );
  });

  it('keeps numbers of all kinds exactly', () => {
    const numbers = [
      0,
      -1,
      31,
      127,
      128,
      255,
      256,
      65_536,
      2 ** 32,
      2 ** 53 - 1,
      -(2 ** 53 - 1),
      -129,
      0.1,
      5e-324,
      1e308,
    ];
    expect(decodeCoordinatorMessage(encodeMessage(welcome({ numbers })))).toEqual(welcome({ numbers }));
  });

  it('keeps strings of all lengths and scripts', () => {
    for (const length of [0, 1, 15, 16, 31, 32, 63, 64, 255, 256, 4000, 70_000]) {
      for (const character of ['a', 'ö', '∞', '🧪']) {
        const message = welcome({ text: character.repeat(length), [character.repeat(length % 300)]: 1 });
        expect(decodeCoordinatorMessage(encodeMessage(message))).toEqual(message);
      }
    }
  });
});

describe('decodePeerMessage', () => {
  it('gives bytes as views of the frame, whatever surrounds it', () => {
    const frame = encodeMessage(logits);
    const buffer = new Uint8Array(frame.length + 10).fill(0x80);
    buffer.set(frame, 5);
    const message = decodePeerMessage(buffer.subarray(5, 5 + frame.length));
    expect(message).toEqual(logits);
    expect((message as typeof logits).logits!.data.buffer).toBe(buffer.buffer);
    expect((message as typeof logits).logits!.data.constructor).toBe(Uint8Array);
  });

  it('takes a Buffer, and leaves no mark on it', () => {
    const frame = Buffer.from(encodeMessage(logits));
    expect(decodePeerMessage(frame)).toEqual(logits);
    expect(Object.keys(frame)).toEqual(Object.keys(Buffer.from(frame)));
  });

  it('ignores fields that it does not know', () => {
    expect(decodePeerMessage(pack({ ...logits, later: { version: [1, null, true] } }))).toEqual(logits);
  });

  it('takes integers in any form that MessagePack has', () => {
    for (const round of ['03', 'cc03', 'cd0003', 'ce00000003', 'cf0000000000000003', 'd003', 'ca40400000']) {
      expect(decodePeerMessage(pack({ ...logits, round: new Raw(round) }))).toEqual(logits);
    }
  });

  it('takes sizes in any form that MessagePack has', () => {
    const frame = pack({
      ...logits,
      logits: { ...tensor, shape: new Raw('dd000000020102') },
      type: new Raw('db000000066c6f67697473'),
    });
    expect(decodePeerMessage(frame)).toEqual(logits);
  });

  it('refuses a frame above the limit, with the close code for that', () => {
    const frame = encodeMessage(logits);
    expect(decodePeerMessage(frame, frame.length)).toEqual(logits);
    const tooLarge = () => decodePeerMessage(frame, frame.length - 1);
    expect(tooLarge).toThrow(`frame: expected at most ${frame.length - 1} bytes, got ${frame.length}`);
    expect(tooLarge).toThrow(expect.objectContaining({ closeCode: 1009 }));
  });

  it('says in a few words what came, however long it is', () => {
    expect(() => decodePeerMessage(pack({ ...logits, view: 'x"\n'.repeat(1000) }))).toThrow(
      /^logits\.view: expected one of shared, own, got "(x\\"\\n){13}x…"$/,
    );
  });

  it('throws errors that end a program as refused', () => {
    expect(() => decodePeerMessage(pack({}))).toThrow(ProtocolError);
    expect(new ProtocolError('x').exitCode).toBe(ExitCode.refused);
  });
});

describe('decodeCoordinatorMessage', () => {
  it.each(['__proto__', 'constructor', 'prototype', 'hasOwnProperty'])(
    'takes no harm from a key %s',
    (key) => {
      const experiment = Object.defineProperty({ seed: 1 }, key, {
        value: { polluted: true },
        enumerable: true,
      });
      const message = decodeCoordinatorMessage(pack(welcome(experiment))) as ReturnType<typeof welcome>;
      expect(message.experiment.seed).toBe(1);
      expect(Object.getPrototypeOf(message.experiment)).toBe(Object.prototype);
      expect(message.experiment.polluted).toBeUndefined();
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      const top = decodeCoordinatorMessage(pack({ ...welcome({}), ...{ [key]: { polluted: true } } }));
      expect(Object.getPrototypeOf(top)).toBe(Object.prototype);
    },
  );

  it('refuses bombs without allocating for what they declare', () => {
    const bombs = [
      'ddffffffff',
      'dfffffffff',
      'dbffffffff',
      `dc4000${'80'.repeat(0x4000)}`,
      '91'.repeat(60_000),
    ];
    const frames = bombs.map((bomb) => pack({ ...welcome({}), experiment: { bomb: new Raw(bomb) } }));
    const before = process.memoryUsage().rss;
    const started = performance.now();
    for (let i = 0; i < 200; i++) {
      for (const frame of frames) expect(() => decodeCoordinatorMessage(frame)).toThrow(ProtocolError);
    }
    expect(performance.now() - started).toBeLessThan(5000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 ** 2);
  });
});
