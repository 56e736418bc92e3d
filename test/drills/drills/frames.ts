import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../src/paths.ts';
import { frameLimit, PRE_AUTH_FRAME_BYTES } from '../../../src/protocol/limits.ts';
import { decodePeerMessage, encodeMessage } from '../../../src/protocol/wire.ts';
import { createRandom } from '../../../src/random.ts';
import type { Drill } from '../drill.ts';
import { rssOf } from '../programs.ts';
import { readyOf, type ScriptedPeer } from '../scriptedPeer.ts';
import type { Coordinator, Stage } from '../stage.ts';
import { frameHeader } from './deaths.ts';
import { keepPlaying } from './play.ts';

/** Close codes of an end that is the sender's own fault. */
const FAULTS = new Set([1002, 1003, 1007, 1008, 1009, 4002, 4003, 4007, 4008, 4010]);

export const malformed: Drill = {
  number: 14,
  title: 'malformed frames: golden ones, cut off anywhere, flipped bits, random bytes, text, bombs',
  promises: ['P1', 'P2', 'P9'],
  criterion:
    'whoever sends one is out with the right code; the others never wait 1 s; memory grows by less than 64 MiB',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const honest = await stage.cast(coordinator);
    const offender = honest.pop()!;
    await Promise.all([...honest, offender].map((peer) => peer.exchange(0)));
    stage.fault('sends what is no message', offender.name);
    const before = rssOf(coordinator.pid);
    const play = keepPlaying(honest, 1);
    const frames = malformedFrames(stage, offender);
    const wrong: number[] = [];
    for (const [i, frame] of frames.entries()) {
      const peer = stage.scripted(offender.name, coordinator);
      // Half of them come from a stranger, half from a peer that is in.
      if (i % 2 === 0) await peer.open();
      else {
        await peer.join();
        await peer.next('start');
      }
      peer.sendFrame(frame);
      const { code } = await peer.closed();
      if (!FAULTS.has(code)) wrong.push(code);
    }
    const { slowestMs, rounds } = await play.stop();
    stage.bound('P1', 'memory', rssOf(coordinator.pid) - before, 64, 'MiB');
    stage.bound('P2', 'the slowest round of the others', slowestMs, 1_000, 'ms');
    return {
      passed: wrong.length === 0,
      measured: `${frames.length} frames, ${rounds} rounds beside them, the slowest ${Math.round(slowestMs)} ms`,
    };
  },
};

function malformedFrames(stage: Stage, peer: ScriptedPeer): (Uint8Array | string)[] {
  const random = createRandom(stage.seed, 'malformed');
  const golden = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/wire/invalid.json'), 'utf8')) as {
    readonly direction: string;
    readonly hex: string;
  }[];
  const valid = encodeMessage(peer.contribution(1));
  const flipped = (): Uint8Array => {
    const copy = valid.slice();
    copy[random.below(copy.length)]! ^= 1 << random.below(8);
    return copy;
  };
  const noise = (): Uint8Array => Uint8Array.from({ length: 1 + random.below(500) }, () => random.below(256));
  const hex = golden.flatMap((each) => (each.direction === 'peer' ? [each.hex] : []));
  return [
    // A message, but none to begin with.
    encodeMessage(readyOf(peer.facts)),
    ...[
      ...hex.map((text) => new Uint8Array(Buffer.from(text, 'hex'))),
      ...Array.from({ length: valid.length }, (_, length) => valid.slice(0, length)),
      ...Array.from({ length: 100 }, flipped),
      ...Array.from({ length: 50 }, noise),
      // Arrays within arrays, and one that says that it has four billion items.
      new Uint8Array(4_000).fill(0x91),
      Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
    ].filter((frame) => !isMessage(frame)),
    ...['', '{}', '{"type":"hello"}'],
  ];
}

/** A flipped bit may leave a message that is valid. */
function isMessage(frame: Uint8Array): boolean {
  try {
    decodePeerMessage(frame);
    return true;
  } catch {
    return false;
  }
}

export const sizes: Drill = {
  number: 15,
  title: 'frames as large as allowed and a byte larger, sizes that are only declared, 131,072 fragments',
  promises: ['P1'],
  criterion: 'accepted, then 1009; no memory for what is only declared: less than 32 MiB in all',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const peers = await stage.cast(coordinator);
    const { rows, classes } = coordinator.facts;
    const limit = frameLimit(rows, classes);
    const before = rssOf(coordinator.pid);
    const answered = await Promise.all(peers.map((peer, i) => sendPadded(peer, 0, limit - (i % 2))));
    const accepted = answered.every(Boolean);
    const [, , last] = peers;
    void sendPadded(last!, 1, limit + 1, false).catch(() => {});
    const tooBig = await last!.closed();
    const stranger = stage.scripted('stranger', coordinator);
    await stranger.open();
    stranger.sendFrame(new Uint8Array(PRE_AUTH_FRAME_BYTES + 1));
    const early = await stranger.closed();
    const declared = await declareMuch(stage, coordinator);
    const fragments = await sendFragments(stage, coordinator, 131_072, 1);
    const empty = await sendFragments(stage, coordinator, 131_072, 0);
    stage.bound('P1', 'memory', rssOf(coordinator.pid) - before, 32, 'MiB');
    stage.bound('P1', 'time to answer', await coordinator.probe(), 1_000, 'ms');
    return {
      passed: accepted && tooBig.code === 1009 && early.code === 1009 && fragments === 1008 && empty === 1008,
      measured: `${limit} bytes ${accepted ? 'taken' : 'refused'}, ${limit + 1}: ${tooBig.code}; fragments: ${fragments}; +${Math.round(rssOf(coordinator.pid) - before)} MiB, ${declared} x 15 MiB declared`,
    };
  },
};

/** Contributes with a frame of exactly so many bytes: an unknown field fills it up, and is ignored. */
async function sendPadded(peer: ScriptedPeer, round: number, bytes: number, good = true): Promise<boolean> {
  const message = peer.contribution(round);
  const padded = (length: number): Uint8Array =>
    encodeMessage({ ...message, pad: new Uint8Array(length) } as typeof message);
  const overhead = padded(2 ** 20 - 100).length - (2 ** 20 - 100);
  peer.send({ ...message, pad: new Uint8Array(bytes - overhead) } as typeof message, good);
  return (await peer.answer(round)).type === 'target';
}

/** Connections that declare a frame of 15 MiB and send none of it. */
async function declareMuch(stage: Stage, coordinator: Coordinator): Promise<number> {
  const count = 30;
  for (let i = 0; i < count; i++) {
    const peer = stage.scripted(`declares-${i}`, coordinator);
    await peer.open();
    await peer.link.raw(frameHeader(15 * 2 ** 20));
  }
  return count;
}

async function sendFragments(
  stage: Stage,
  coordinator: Coordinator,
  count: number,
  bytes: number,
): Promise<number> {
  const peer = stage.scripted('fragments', coordinator);
  await peer.open();
  const piece = (opcode: number): number[] => [
    opcode,
    0x80 | bytes,
    0,
    0,
    0,
    0,
    ...Array<number>(bytes).fill(0),
  ];
  const one = piece(0);
  const all = new Uint8Array(one.length * count);
  for (let i = 0; i < count; i++) all.set(i === 0 ? piece(2) : one, i * one.length);
  void peer.link.raw(all);
  return (await peer.closed()).code;
}

export const interleaved: Drill = {
  number: 19,
  title:
    'a frame in two fragments with a ping between them, split at every byte; chunks and rounds out of order',
  promises: ['P5'],
  criterion: 'reassembled, or refused; never mixed',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const [a, b, c] = await stage.cast(coordinator);
    let round = 0;
    let targets = 0;
    const length = encodeMessage(a!.contribution(0)).length;
    for (let at = 1; at < length; at++, round++) {
      const message = a!.contribution(round);
      const frame = encodeMessage(message);
      const [ping, rest] = [Uint8Array.of(0x89, 0x80, 0, 0, 0, 0), frame.subarray(at)];
      a!.note(message);
      void a!.link.raw(
        Buffer.concat([
          frameHeader(at, 2, false),
          frame.subarray(0, at),
          ping,
          frameHeader(rest.length, 0),
          rest,
        ]),
      );
      const answers = await Promise.all([a!.answer(round), b!.exchange(round), c!.exchange(round)]);
      targets += answers.filter(({ type }) => type === 'target').length;
    }
    // Two rounds at once, the later one first.
    for (const later of [round + 1, round]) b!.contribute(later);
    await b!.link.settled();
    await Promise.all([a!.play(round, round + 2), c!.play(round, round + 2)]);
    c!.send(
      {
        ...{ type: 'predictions', offset: 5, codec: 'float32', shape: [1, coordinator.facts.classes] },
        ...{ labels: new Uint8Array(2), data: new Uint8Array(4 * coordinator.facts.classes) },
      },
      false,
    );
    const { code } = await c!.closed();
    return {
      passed: targets === 3 * (length - 1) && code === 4007,
      measured: `${targets} of ${3 * (length - 1)} targets at ${length - 1} splits; a chunk too early: ${code}`,
    };
  },
};

export const versions: Drill = {
  number: 22,
  title: 'another version of the protocol, and fields of a later one',
  promises: ['P9'],
  criterion: '4002 with both versions; unknown fields are ignored',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const peers = await stage.cast(coordinator);
    const other = stage.scripted('other', coordinator, { link: { protocol: 'codistill.v2' } });
    await other.open();
    const bySubprotocol = await other.closed();
    const newer = stage.scripted('newer', coordinator);
    await newer.connect({ protocol: 2 as 1 }).catch(() => {});
    const byHello = await newer.closed();
    const unknown = { invented: 'later' } as object;
    await Promise.all(
      peers.map((peer) => {
        peer.send({ ...peer.contribution(0), ...unknown } as ReturnType<typeof peer.contribution>);
        return peer.answer(0);
      }),
    );
    const told = [bySubprotocol, byHello].map(({ reason }) => reason).join(' | ');
    return {
      passed:
        bySubprotocol.code === 4002 &&
        byHello.code === 4002 &&
        /1/.test(byHello.reason) &&
        /2/.test(byHello.reason),
      measured: `${bySubprotocol.code} and ${byHello.code}: ${told}`,
    };
  },
};

export const frames: readonly Drill[] = [malformed, sizes, interleaved, versions];
