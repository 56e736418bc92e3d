import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { saveWeights } from '../../peer/weightFiles.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { getCodec } from '../../src/codec/index.ts';
import { loadExperiment } from '../../src/config/load.ts';
import { asksPeers, METHODS } from '../../src/config/methods.ts';
import { describeMethod, REFERENCE } from '../../src/distill/describe.ts';
import { methods } from '../../src/distill/index.ts';
import { needsOf } from '../../src/distill/objective.ts';
import { payloadBytes } from '../../src/distill/payload.ts';
import { projectRoot } from '../../src/paths.ts';
import { MAX_FRAME_BYTES } from '../../src/protocol/limits.ts';
import type { MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { RunSummary } from '../../src/results/types.ts';
import { createTinyStudent } from '../peer/support.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { type ScriptedPeer, type SentFrame, startScriptedPeer } from './scriptedPeer.ts';
import { afterwards, startCoordinator, startPeer, TINY_SETTINGS } from './support.ts';
import { type Conversation, startWireRecorder } from './wireRecorder.ts';

/** What a `logits` frame takes beyond the tensors and the labels: at most so much, and so much more for each encoding. */
const HEADER = { frame: 136, encoding: 100 };
const ROUNDS = 2;

type Logits = MessageOf<PeerMessage, 'logits'>;

/** The frames with messages of one type. */
function messagesOf<T extends PeerMessage['type']>(
  sent: readonly SentFrame[],
  type: T,
): { message: MessageOf<PeerMessage, T>; bytes: number }[] {
  return sent.filter(({ message }) => message.type === type) as ReturnType<typeof messagesOf<T>>;
}

const tensorBytes = ({ logits, encodings = [] }: Logits): number =>
  [...(logits ? [logits] : []), ...encodings].reduce((sum, { data }) => sum + data.byteLength, 0);

const headerBytes = ({ message, bytes }: { message: Logits; bytes: number }): number =>
  bytes - tensorBytes(message) - (message.labels?.byteLength ?? 0);

const mostHeader = ({ encodings = [] }: Logits): number => HEADER.frame + HEADER.encoding * encodings.length;

const totalOf = (sent: readonly { readonly bytes: number }[]): number =>
  sent.reduce((sum, { bytes }) => sum + bytes, 0);

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
        const frames = messagesOf(sent, 'logits');
        expect(frames).toHaveLength(ROUNDS);
        for (const frame of frames) {
          expect(tensorBytes(frame.message)).toBe(expected);
          expect(headerBytes(frame)).toBeLessThanOrEqual(mostHeader(frame.message));
          expect(frame.bytes / expected).toBeLessThan(1.02);
        }
      }
      // Who teaches nobody says which batch it is at, and no more.
      for (const frame of online ? [] : messagesOf(student.sent, 'logits')) {
        expect(tensorBytes(frame.message)).toBe(0);
        expect(frame.bytes).toBeLessThanOrEqual(HEADER.frame);
      }
      const summary = await readSummary(runFolder);
      expect(summary.exchange).toMatchObject({ rounds: ROUNDS, missed: { refused: 0 } });
      expect(summary.peers.map(({ bytesUp }) => bytesUp)).toEqual(peers.map(({ sent }) => totalOf(sent)));
    },
  );
});

describe('what real peers send in a whole run', () => {
  const settings = [...TINY_SETTINGS, '--epochs', '2', '--burn-in-steps', '2'];

  /** A run of two peers, each with a process of its own, and everything that they said. */
  async function recorded(
    method: string,
    models: readonly string[],
    teacher?: string,
  ): Promise<{ readonly conversations: readonly Conversation[]; readonly summary: RunSummary }> {
    const folder = await temporaryFolder();
    const peers = models.map((model, i) =>
      i === 1 && teacher !== undefined ? { model, role: 'teacher' } : { model },
    );
    const path = join(folder, 'experiment.yaml');
    writeFileSync(path, JSON.stringify({ distill: { method }, peers }));
    const { program, url, runFolder } = await startCoordinator([path, ...settings], folder);
    const recorder = await startWireRecorder(url);
    const programs = await Promise.all(
      peers.map(({ role }, i) =>
        startPeer(`peer-${i}`, recorder.url, folder, [
          ...['--backend', 'wasm'],
          ...(role ? ['--role', role, '--weights', teacher!] : []),
        ]),
      ),
    );
    const codes = await Promise.all([program, ...programs].map(({ exited }) => exited));
    expect(codes, programs.map((each) => each.errorText()).join()).toEqual(codes.map(() => 0));
    return { conversations: recorder.conversations, summary: await readSummary(runFolder) };
  }

  const weightsOfMlp = async (): Promise<string> => {
    const student = await createTinyStudent();
    const folder = await temporaryFolder();
    await saveWeights(folder, student, 'mlp');
    student.dispose();
    return join(folder, 'weights.safetensors');
  };

  it.each<[string, readonly string[], (() => Promise<string>) | null]>([
    ['dml', ['mlp', 'cnn-s'], null],
    ['kd', ['mlp', 'mlp'], weightsOfMlp],
    ['sp', ['cnn-s', 'cnn-s'], null],
    ['crd', ['mlp', 'mlp'], null],
  ])('by %s is what its method takes of their layers, for every batch', async (name, models, weights) => {
    const { conversations, summary } = await recorded(name, models, await weights?.());
    const method = methods[name]!;
    expect(summary.exchange).toMatchObject({ rounds: 6, missed: { noTeachers: 0, refused: 0 } });
    for (const { name: peer, up, down } of conversations) {
      const facts = summary.peers.find((each) => each.name === peer)!;
      // The last message tells that the summary is written.
      const counted = down.filter(({ message }) => message.type !== 'finished');
      expect(facts).toMatchObject({
        ...{ outcome: 'finished', bytesUp: totalOf(up), bytesDown: totalOf(counted) },
      });

      const ready = messagesOf(up, 'ready')[0]!.message;
      const needs = needsOf(
        { method, options: method.options.parse({}), weight: 1 },
        Object.keys(ready.layers!),
      );
      const teaches = weights === null || facts.role === 'teacher';
      const expected = teaches
        ? payloadBytes(needs, {
            ...{ shapes: ready.layers!, classes: 10, batch: 64, codec: getCodec('float16') },
          })
        : 0;
      const frames = messagesOf(up, 'logits');
      expect(frames).toHaveLength(6);
      for (const frame of frames) {
        expect(tensorBytes(frame.message)).toBe(expected);
        expect(headerBytes(frame)).toBeLessThanOrEqual(mostHeader(frame.message));
        // Beside what the method takes in the setting of the literature, the header is nothing.
        expect(headerBytes(frame) / describeMethod(method).bytes).toBeLessThan(0.02);
      }
    }
  });

  it('is nothing about its batches where a student teaches itself', async () => {
    const { conversations } = await recorded('self-ema', ['mlp']);
    const types = new Set(conversations[0]!.up.map(({ message }) => message.type));
    expect(types.has('done')).toBe(true);
    expect([...types].filter((type) => type === 'logits' || type === 'checkpoint')).toEqual([]);
  });
});
