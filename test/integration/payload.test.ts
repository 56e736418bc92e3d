import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { loadExperiment } from '../../src/config/load.ts';
import { asksPeers, METHODS } from '../../src/config/methods.ts';
import { describeMethod, REFERENCE } from '../../src/distill/describe.ts';
import { methods } from '../../src/distill/index.ts';
import { projectRoot } from '../../src/paths.ts';
import { MAX_FRAME_BYTES } from '../../src/protocol/limits.ts';
import type { MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { type ScriptedPeer, type SentFrame, startScriptedPeer } from './scriptedPeer.ts';
import { afterwards, startCoordinator } from './support.ts';

/** What a `logits` frame takes beyond the tensors and the labels: at most so much, and so much more for each encoding. */
const HEADER = { frame: 136, encoding: 100 };
const ROUNDS = 2;

type Logits = MessageOf<PeerMessage, 'logits'>;

const logitsOf = (sent: readonly SentFrame[]): { message: Logits; bytes: number }[] =>
  sent.flatMap(({ message, bytes }) => (message.type === 'logits' ? [{ message, bytes }] : []));

const tensorBytes = ({ logits, encodings = [] }: Logits): number =>
  [...(logits ? [logits] : []), ...encodings].reduce((sum, { data }) => sum + data.byteLength, 0);

const headerBytes = ({ message, bytes }: { message: Logits; bytes: number }): number =>
  bytes - tensorBytes(message) - (message.labels?.byteLength ?? 0);

const mostHeader = ({ encodings = [] }: Logits): number => HEADER.frame + HEADER.encoding * encodings.length;

const totalOf = (sent: readonly SentFrame[]): number => sent.reduce((sum, { bytes }) => sum + bytes, 0);

beforeAll(async () => {
  await loadBackend('wasm');
});

it('the specification says how much a frame takes beyond its tensors', () => {
  const specification = readFileSync(join(projectRoot, 'src', 'protocol', 'README.md'), 'utf8');
  expect(specification.replaceAll(/\s+/g, ' ')).toContain(
    `at most ${HEADER.frame} bytes, and ${HEADER.encoding} more for each encoding`,
  );
});

describe('what is sent for a batch, with a coordinator of its own, over sockets', () => {
  const { classes, shapes } = REFERENCE;

  it.each(METHODS.filter(asksPeers))(
    'by %s is what codistill methods says, and a small header',
    async (name) => {
      const { bytes: stated } = describeMethod(methods[name]!);
      // Some in float32 are more than a message holds; float16 takes half.
      const codec = stated > MAX_FRAME_BYTES ? 'float16' : 'float32';
      const expected = codec === 'float16' ? stated / 2 : stated;
      const { experiment } = await loadExperiment(name);
      const online = experiment.peers.every(({ role }) => role === 'student');
      const flags = ['--codec', codec, '--allow-feature-maps', 'true', '--mode', 'lockstep'];
      const folder = await temporaryFolder();
      const { program, url, runFolder } = await startCoordinator(
        [name, ...flags, ...(online ? ['--peers', '2xresnet8'] : [])],
        folder,
      );
      const peers: ScriptedPeer[] = [];
      afterwards(() => {
        for (const peer of peers) peer.close();
      });
      for (const role of online ? (['student', 'student'] as const) : (['student', 'teacher'] as const))
        peers.push(await startScriptedPeer(url, { role, classes, shapes }));

      for (let round = 0; round < ROUNDS; round++) {
        const targets = await Promise.all(peers.map((peer) => peer.round(round)));
        expect(targets.map((target) => target !== null)).toEqual([true, online]);
        tf.dispose(targets as unknown as tf.TensorContainer);
      }
      await Promise.all(peers.map((peer) => peer.finish()));
      expect(await program.exited).toBe(0);

      const [student, teacher] = peers as [ScriptedPeer, ScriptedPeer];
      for (const { sent } of online ? peers : [teacher]) {
        const frames = logitsOf(sent);
        expect(frames).toHaveLength(ROUNDS);
        for (const frame of frames) {
          expect(tensorBytes(frame.message)).toBe(expected);
          expect(headerBytes(frame)).toBeLessThanOrEqual(mostHeader(frame.message));
          expect(frame.bytes / expected).toBeLessThan(1.02);
        }
      }
      // Who teaches nobody says which batch it is at, and no more.
      for (const frame of online ? [] : logitsOf(student.sent)) {
        expect(tensorBytes(frame.message)).toBe(0);
        expect(frame.bytes).toBeLessThanOrEqual(HEADER.frame);
      }
      const summary = await readSummary(runFolder);
      expect(summary.exchange).toMatchObject({ rounds: ROUNDS, missed: { refused: 0 } });
      expect(summary.peers.map(({ bytesUp }) => bytesUp)).toEqual(peers.map(({ sent }) => totalOf(sent)));
    },
  );
});
