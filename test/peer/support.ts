import { join } from 'node:path';
import { loadNetwork } from '../../peer/network.ts';
import type { Socket, SocketEvents } from '../../peer/socket.ts';
import { createStudent, type Student } from '../../peer/student.ts';
import { type RunSettings, runSettingsSchema } from '../../src/config/schema.ts';
import type { Dataset, ImageSet } from '../../src/datasets/types.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { projectRoot } from '../../src/paths.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { createRandom } from '../../src/random.ts';

/** One attempt of a peer to connect, seen from the coordinator's end. */
export interface FakeConnection {
  /** What the peer said, decoded as a coordinator would. */
  readonly said: PeerMessage[];
  /** How the peer closed it; `null` while it has not. */
  readonly closing: { readonly code: number; readonly reason: string } | null;
  readonly terminated: boolean;
  open(): void;
  say(message: CoordinatorMessage): void;
  frame(bytes: Uint8Array): void;
  ping(): void;
  /** Ends it; without arguments, as when the network goes away. */
  drop(code?: number, reason?: string, error?: Error | null): void;
}

/** The place of a network: every `connect` adds a connection, which does what the test tells it to. */
export function createNetwork(): {
  readonly connections: FakeConnection[];
  readonly connect: (events: SocketEvents) => Socket;
  /** The newest connection. */
  readonly latest: () => FakeConnection;
} {
  const connections: FakeConnection[] = [];
  const connect = (events: SocketEvents): Socket => {
    const connection = {
      said: [] as PeerMessage[],
      closing: null as FakeConnection['closing'],
      terminated: false,
      open: () => events.opened(),
      say: (message: CoordinatorMessage) => events.frame(encodeMessage(message)),
      frame: (bytes: Uint8Array) => events.frame(bytes),
      ping: () => events.ping(),
      drop: (code = 1006, reason = '', error: Error | null = null) => events.closed(code, reason, error),
    };
    connections.push(connection);
    return {
      send: (frame) => void connection.said.push(decodePeerMessage(frame)),
      close: (code, reason) => {
        connection.closing ??= { code, reason };
      },
      terminate: () => {
        connection.terminated = true;
      },
    };
  };
  return { connections, connect, latest: () => connections.at(-1)! };
}

export const WELCOME: MessageOf<CoordinatorMessage, 'welcome'> = {
  type: 'welcome',
  protocol: 1,
  run: 'run-1',
  name: 'mlp-1',
  model: 'mlp',
  experiment: {},
};

export const START: MessageOf<CoordinatorMessage, 'start'> = { type: 'start', peers: ['mlp-1', 'mlp-2'] };

type Changes = { readonly [K in keyof RunSettings]?: Partial<RunSettings[K]> };

/** Settings for {@link TINY_DATASET}: constant rate, nothing clipped, teachers from the first step on. */
export function settingsWith(changes: Changes = {}): RunSettings {
  return runSettingsSchema.parse({
    seed: 1,
    data: { batchSize: 8, ...changes.data },
    training: { epochs: 2, schedule: 'constant', clipNorm: 'none', ...changes.training },
    distill: { burnInSteps: 0, rampUpSteps: 0, ...changes.distill },
    exchange: { ...changes.exchange },
  });
}

function noiseImages(count: number, pixels: number, classes: number, name: string): ImageSet {
  const random = createRandom(0, name);
  return {
    count,
    images: Uint8Array.from({ length: count * pixels }, () => random.below(256)),
    labels: Uint16Array.from({ length: count }, () => random.below(classes)),
  };
}

/** Three steps of 8 in an epoch: 24 images of 4 x 4 pixels in three classes. */
export const TINY_DATASET: Dataset = {
  name: 'tiny',
  imageShape: [4, 4, 1],
  classNames: ['a', 'b', 'c'],
  mean: [0.5],
  std: [0.25],
  train: noiseImages(24, 16, 3, 'train'),
  test: noiseImages(10, 16, 3, 'test'),
  source: 'made up',
  digest: '0'.repeat(64),
};

/** Fashion-MNIST as it comes with codistill, whatever else is on this machine. */
export const EMBEDDED = join(projectRoot, 'src', 'datasets', 'embedded', 'fashion-mnist');

/** An mlp and what its training needs, on a little of the Fashion-MNIST that comes with codistill. */
export async function createTinyStudent(settings: RunSettings = settingsWith()): Promise<Student> {
  const data = { ...settings.data, trainSize: 40, testSize: 20 };
  const network = await loadNetwork({
    name: 'mlp-1',
    model: 'mlp',
    settings: { ...settings, data },
    dataDir: EMBEDDED,
    download: false,
  });
  return createStudent(network, objectiveFrom(settings.distill), settings, null);
}
