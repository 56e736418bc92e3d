import { nextDeadlineMs } from '../../coordinator/awaiting.ts';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import { createRun, type Run, type RunEffect, type RunOptions } from '../../coordinator/runState.ts';
import { restore } from '../../coordinator/snapshot.ts';
import { CloseCode } from '../../src/protocol/closeCodes.ts';
import { ProtocolError } from '../../src/protocol/protocolError.ts';
import { decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import type { Disk } from './disk.ts';
import type { Network, ServerConnection } from './network.ts';
import type { World } from './world.ts';

/** Looks at the run around everything that happens to it. */
export interface Observer {
  before(run: Run): void;
  after(run: Run, effects: readonly RunEffect[]): void;
}

export interface SimulatedCoordinator {
  /** The run of its present life; `null` while it is not there. */
  readonly run: Run | null;
  readonly finished: boolean;
  start(): void;
  crash(): void;
}

const PING_EVERY_MS = 1_000;
const LOOK_EVERY_MS = 250;

/** The coordinator's decisions, with the sockets, timers and disk of a simulation in the place of the real ones. */
export function createCoordinator(
  world: World,
  network: Network,
  disk: Disk,
  options: RunOptions,
  observer: Observer,
): SimulatedCoordinator {
  let run: Run | null = null;
  let finished = false;
  let life = 0;

  const start = (): void => {
    if (run || finished) return;
    life += 1;
    const mine = life;
    const current = createRun(options, disk.journal);
    const left = disk.left();
    if (left) restore(current, left, world.now());
    run = current;
    const connections = new Map<number, { end: ServerConnection; peer: string | null; heardAtMs: number }>();
    let cancelTimer = (): void => {};

    const handle = (event: () => RunEffect[]): void => {
      if (life !== mine || run === null) return;
      observer.before(current);
      const effects = event();
      observer.after(current, effects);
      // It may have died of its own write.
      if (life === mine && run !== null) perform(effects);
    };
    const perform = (effects: readonly RunEffect[]): void => {
      for (const effect of effects) {
        if (effect.type === 'attach') connections.get(effect.connection)!.peer = effect.peer;
        if (effect.type === 'send')
          connections.get(effect.connection)?.end.send(effect.frame ?? encodeMessage(effect.message));
        if (effect.type === 'close')
          connections.get(effect.connection)?.end.close(effect.code, effect.reason);
        if (effect.type === 'finished') finish();
      }
      cancelTimer();
      const due = Math.min(LOOK_EVERY_MS, (nextDeadlineMs(current.rounds) ?? Infinity) - world.now());
      cancelTimer = world.after(Math.max(0, due), () => handle(() => advance(current, world.now())));
    };
    const finish = (): void => {
      finished = true;
      for (const { end, peer } of connections.values()) {
        if (peer !== null) end.send(encodeMessage({ type: 'finished' }));
      }
    };
    const ping = (): void => {
      if (life !== mine || run === null) return;
      for (const { end, heardAtMs } of [...connections.values()]) {
        if (world.now() - heardAtMs > options.settings.exchange.lease) end.terminate();
        else end.ping();
      }
      world.after(PING_EVERY_MS, ping);
    };

    network.listen({
      opened: (end) => void connections.set(end.id, { end, peer: null, heardAtMs: world.now() }),
      pong(id) {
        const connection = connections.get(id);
        if (connection) connection.heardAtMs = world.now();
      },
      frame(id, bytes) {
        const connection = connections.get(id);
        if (!connection) return;
        connection.heardAtMs = world.now();
        try {
          const message = decodePeerMessage(bytes);
          const { peer } = connection;
          if (peer !== null) handle(() => receive(current, peer, message, world.now()));
          else if (message.type === 'hello') handle(() => hello(current, id, message, world.now()));
          else connection.end.close(CloseCode.malformed, 'expected hello as the first message');
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          connection.end.close(error.closeCode, error.message);
        }
      },
      closed(id, reason) {
        const peer = connections.get(id)?.peer ?? null;
        connections.delete(id);
        if (peer !== null) handle(() => disconnected(current, peer, id, reason, world.now()));
      },
    });
    ping();
    perform([]);
  };

  return {
    get run() {
      return run;
    },
    get finished() {
      return finished;
    },
    start,
    crash() {
      if (finished) return;
      run = null;
      life += 1;
      network.listen(null);
    },
  };
}
