import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SocketEvents } from '../../peer/socket.ts';
import { ExitCode } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { createNetwork, EMBEDDED, START, settingsWith, WELCOME } from './support.ts';

/** What the program is given in place of signals and the network. */
const world = vi.hoisted(() => ({
  stop: new AbortController(),
  connect: (() => {
    throw new Error('no network');
  }) as (events: SocketEvents) => unknown,
}));

vi.mock('../../src/program.ts', async (original) => ({
  ...(await original<typeof import('../../src/program.ts')>()),
  stopOnSignals: () => ({ signal: world.stop.signal, exitCode: () => 130 }),
}));
vi.mock('../../peer/socket.ts', () => ({
  openSocket: (_url: string, _credentials: unknown, events: SocketEvents) => world.connect(events),
}));

const before = { argv: process.argv, exitCode: process.exitCode };
let errors = '';

beforeEach(() => {
  world.stop = new AbortController();
  errors = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    errors += chunk;
    return true;
  });
});
afterEach(() => {
  process.argv = before.argv;
  process.exitCode = before.exitCode;
  vi.restoreAllMocks();
});

/** The experiment as a coordinator sends it: long enough that no test sees its end by itself. */
const experiment = {
  ...settingsWith({ training: { epochs: 10_000, evaluateEvery: 10_000 } }),
  data: { batchSize: 8, trainSize: 40, testSize: 20 },
};

let runs = 0;

/**
 * Runs the program to its end, with a coordinator at hand that does as it is told.
 *
 * @param onMessage what the coordinator does about the messages of these types
 * @returns the exit code
 */
async function runPeer(
  network: ReturnType<typeof createNetwork>,
  onMessage: Readonly<Record<string, () => void>>,
): Promise<{ code: unknown; folder: string }> {
  world.connect = (events) => {
    const socket = network.connect(events);
    const connection = network.latest();
    queueMicrotask(() => connection.open());
    return {
      ...socket,
      send: (frame: Uint8Array) => {
        socket.send(frame);
        const { type } = connection.said.at(-1)!;
        queueMicrotask(() => onMessage[type]?.());
      },
      close: (code: number, reason: string) => {
        socket.close(code, reason);
        queueMicrotask(() => connection.drop(code, reason));
      },
    };
  };
  const folder = await temporaryFolder();
  process.argv = [
    ...['node', 'main.js', '--coordinator', 'ws://127.0.0.1:1', '--log-level', 'silent'],
    ...['--backend', 'wasm', '--data-dir', EMBEDDED, '--dir', folder],
  ];
  // Each run needs the module anew; what it imports stays the same.
  await import(/* @vite-ignore */ `../../peer/main.ts?run=${runs++}`);
  return { code: process.exitCode, folder };
}

describe('the peer program', () => {
  it('saves and hands in what it has when it is stopped, and leaves with the code for that', async () => {
    const network = createNetwork();
    const { code, folder } = await runPeer(network, {
      hello: () => network.latest().say({ ...WELCOME, experiment }),
      ready: () => network.latest().say(START),
      logits: () => world.stop.abort(),
      done: () => network.latest().say({ type: 'finished' }),
    });
    expect(errors).toBe('');
    expect(code).toBe(ExitCode.interrupted);
    // The step that waited for its target was not taken: it can be when the run goes on.
    expect(network.latest().said.at(-1)).toMatchObject({ type: 'done', outcome: 'interrupted', step: 0 });
    expect(network.latest().closing?.code).toBe(1000);
    expect(existsSync(join(folder, 'weights.safetensors'))).toBe(true);
  });

  it('ends without a connection when it was stopped while it loaded its backend', async () => {
    const network = createNetwork();
    world.stop.abort();
    const { code } = await runPeer(network, {});
    expect(code).toBe(ExitCode.interrupted);
    expect(network.connections).toHaveLength(0);
  });

  it('does not say that it is ready when it was stopped while it loaded its data', async () => {
    const network = createNetwork();
    const { code } = await runPeer(network, {
      hello: () => {
        network.latest().say({ ...WELCOME, experiment });
        world.stop.abort();
      },
    });
    expect(code).toBe(ExitCode.interrupted);
    expect(network.latest().said.map(({ type }) => type)).toEqual(['hello']);
  });

  it('ends when it is stopped while it waits for the others', async () => {
    const network = createNetwork();
    const { code } = await runPeer(network, {
      hello: () => network.latest().say({ ...WELCOME, experiment }),
      ready: () => world.stop.abort(),
    });
    expect(code).toBe(ExitCode.interrupted);
    expect(network.latest().closing?.code).toBe(1000);
  });

  it('closes its connection when it cannot take part, which would keep it alive', async () => {
    const network = createNetwork();
    const { code } = await runPeer(network, {
      hello: () => network.latest().say({ ...WELCOME, model: 'mpl', experiment }),
    });
    expect(code).toBe(ExitCode.usage);
    expect(errors).toMatch(/^Error: .*did you mean "mlp"/);
    expect(network.latest().closing?.code).toBe(1000);
  });

  it('says which settings it cannot understand', async () => {
    const network = createNetwork();
    const { code } = await runPeer(network, {
      hello: () => network.latest().say({ ...WELCOME, experiment: { ...experiment, seed: 'x' } }),
    });
    expect(code).toBe(ExitCode.usage);
    expect(errors).toMatch(/does not fit this version of codistill/);
    expect(network.latest().closing?.code).toBe(1000);
  });
});
