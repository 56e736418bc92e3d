import * as tf from '@tensorflow/tfjs';
import { contributionOf } from '../../peer/contribution.ts';
import { predictionMessages } from '../../peer/resultMessages.ts';
import { createSession, type Session } from '../../peer/session.ts';
import { openSocket } from '../../peer/socket.ts';
import { type Lesson, peerTeachers } from '../../peer/teachers.ts';
import { readClientTls } from '../../peer/tls.ts';
import { wantsOf } from '../../peer/wants.ts';
import { type RunSettings, runSettingsSchema } from '../../src/config/schema.ts';
import { batchIds } from '../../src/datasets/sampler.ts';
import { getEncoder } from '../../src/distill/encoders/index.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { layersOf } from '../../src/distill/layers.ts';
import { encodingKey } from '../../src/distill/objective.ts';
import type { FeatureShapes, Outputs, TeacherOutputs } from '../../src/distill/types.ts';
import { wantsLabels } from '../../src/ensemble/wantsLabels.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage, Wants } from '../../src/protocol/messages.ts';
import { decodePeerMessage } from '../../src/protocol/wire.ts';

const TEST_SIZE = 4;

/** A frame that a peer has sent. */
export interface SentFrame {
  readonly message: PeerMessage;
  readonly bytes: number;
}

/** Sizes of the network that a scripted peer pretends to have. */
export interface Pretended {
  readonly role: 'student' | 'teacher';
  readonly classes: number;
  readonly shapes: FeatureShapes;
}

/**
 * A peer that has no network, and makes up its outputs: everything from there to the socket is the code of a real one.
 */
export interface ScriptedPeer {
  readonly sent: readonly SentFrame[];
  readonly settings: RunSettings;
  readonly start: Promise<MessageOf<CoordinatorMessage, 'start'>>;
  /** Takes part in a round; of a student, what it was taught. */
  round(round: number): Promise<TeacherOutputs | null>;
  /** Hands in its results; resolves when the coordinator has saved them. */
  finish(): Promise<void>;
  close(): void;
}

export async function startScriptedPeer(
  url: string,
  { role, classes, shapes }: Pretended,
): Promise<ScriptedPeer> {
  const sent: SentFrame[] = [];
  const session = createSession({
    hello: {
      ...{ type: 'hello', protocol: 1, incarnation: `life-of-a-${role}`, role },
      ...{ backend: 'none', device: 'made up' },
    },
    connect(events) {
      const socket = openSocket(`${url}/ws`, { token: null, tls: readClientTls(url, {}) }, events);
      const send = (frame: Uint8Array): void => {
        sent.push({ message: decodePeerMessage(frame), bytes: frame.byteLength });
        socket.send(frame);
      };
      return { ...socket, send };
    },
    patienceMs: 10_000,
    notify: () => {},
  });
  const settings = runSettingsSchema.parse((await session.join()).experiment);
  const wants = role === 'student' ? wantsOf(objectiveFrom(settings.distill), Object.keys(shapes)) : null;
  const start = session.ready({
    ...{ dataset: 'ab'.repeat(32), classes, inputShape: [32, 32, 3], parameters: 1 },
    ...{ trainSize: settings.data.trainSize!, testSize: TEST_SIZE },
    layers: Object.fromEntries(Object.entries(shapes).map(([layer, shape]) => [layer, [...shape]])),
    ...(wants && { wants }),
  });
  const results = predictionMessages(
    new Float32Array(TEST_SIZE * classes),
    new Uint16Array(TEST_SIZE),
    classes,
  );
  let taught: Promise<void> | undefined;
  return {
    sent,
    settings,
    start,
    async round(round) {
      const told = (await start).wants ?? null;
      // A teacher's results are known from the start, as its weights stay as they are.
      if (role === 'teacher') taught ??= session.finish(results);
      const outputs = madeUp(told, { classes, shapes }, settings.data.batchSize);
      try {
        return role === 'teacher'
          ? await teach(session, settings, told!, outputs, round)
          : await learn(session, settings, told, wants!, outputs, round);
      } finally {
        tf.dispose([outputs.logits, ...Object.values(outputs.features)]);
      }
    },
    finish() {
      if (role === 'teacher') return taught!;
      const done: PeerMessage = {
        ...{ type: 'done', outcome: 'finished', step: 2, imagesPerSecond: 1, waitFraction: 0, stepMs: 1 },
      };
      return session.finish([...results, done]);
    },
    close: () => session.close(),
  };
}

/** Outputs of a network that has just these layers. */
function madeUp(
  told: Wants | null,
  { classes, shapes }: Pick<Pretended, 'classes' | 'shapes'>,
  batch: number,
): Outputs {
  const layers = new Set((told?.encodings ?? []).flatMap(({ layer }) => layersOf(layer)));
  const noise = (shape: number[]) => tf.randomUniform(shape, -1, 1, 'float32', shape.length);
  return {
    logits: noise([batch, classes]) as tf.Tensor2D,
    features: Object.fromEntries([...layers].map((layer) => [layer, noise([batch, ...shapes[layer]!])])),
  };
}

const idsOf = ({ seed, data }: RunSettings, step: number): Uint32Array =>
  batchIds({ seed, step, batchSize: data.batchSize, count: data.trainSize! });

async function learn(
  session: Session,
  settings: RunSettings,
  told: Wants | null,
  own: Wants,
  student: Outputs,
  step: number,
): Promise<TeacherOutputs | null> {
  const ids = idsOf(settings, step);
  const source = peerTeachers(session, {
    ...{ view: settings.data.view, codec: settings.exchange.codec, wants: told, ema: null },
    sendsLabels: wantsLabels(own.ensemble),
  });
  const lesson: Lesson = {
    ...{ step, ids, student, labels: new Uint16Array(ids.length) },
    images: tf.zeros([ids.length, 1, 1, 1]),
  };
  const { target } = await source.teach(lesson);
  lesson.images.dispose();
  return target;
}

async function teach(
  session: Session,
  settings: RunSettings,
  told: Wants,
  outputs: Outputs,
  round: number,
): Promise<null> {
  const { view } = settings.data;
  const trained = new Map(
    told.encodings.flatMap((need) => {
      const part = getEncoder(need.encoder).trainable;
      const [, ...shape] = outputs.features[need.layer]?.shape ?? [];
      return part ? [[encodingKey(need), part.modules(shape, 1)] as const] : [];
    }),
  );
  const contribution = await contributionOf(outputs, told, settings.exchange.codec, trained);
  for (const { parameters, buffers } of trained.values())
    tf.dispose([...parameters.values(), ...buffers.values()]);
  const request = { round, step: round, batch: batchDigest(idsOf(settings, round)), view, ...contribution };
  await session.exchange(request, outputs.logits.shape);
  return null;
}
