import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import type { Logger } from '../src/logger.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import { frameLimit, MAX_FRAME_BYTES, PRE_AUTH_FRAME_BYTES } from '../src/protocol/limits.ts';
import { SUBPROTOCOL } from '../src/protocol/messages.ts';
import type { Recorder } from '../src/results/recorder.ts';
import type { MethodSummary } from '../src/results/types.ts';
import type { Token } from '../src/token.ts';
import { type Attempts, countFailure } from './attempts.ts';
import { adoptConnection, type Connection } from './connections.ts';
import { createGate, isLoopback } from './gate.ts';
import { createPages, listen } from './http.ts';
import { createIntroductions } from './introduction.ts';
import { nextDeadlineMs } from './rounds.ts';
import { advance, disconnected, receive } from './run.ts';
import { type Run, type RunEffect, SLOW_START_LEASES } from './runState.ts';
import { statusOf, whatIsWaitedFor } from './status.ts';
import { summarise } from './summary.ts';
import { type ServerTls, tlsFailure } from './tls.ts';
import { isAmong } from './tokens.ts';
import { refuseUpgrade } from './web.ts';

export interface ServerOptions {
  readonly run: Run;
  readonly host: string;
  readonly port: number;
  /** What peers must show; `null`: anybody who can reach the address may join. */
  readonly tokens: readonly Token[] | null;
  /** `null`: plain HTTP. */
  readonly tls: ServerTls | null;
  readonly recorder: Recorder;
  /** Makes what is written as `summary.json` of what came out. */
  readonly summaryFile: (summary: MethodSummary) => unknown;
  readonly logger: Logger;
}

export interface Server {
  /** Such as `http://127.0.0.1:7070`. */
  readonly url: string;
  /** Resolves when the run is over and its results are saved; rejects when they could not be. */
  readonly finished: Promise<MethodSummary>;
  /** From now on these tokens count; connections with others are closed. */
  useTokens(tokens: readonly Token[]): void;
  /** Ends the run where it is, and saves what there is. */
  interrupt(): void;
  close(): Promise<void>;
}

/** How often to look at what no deadline brings about, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
const PING_EVERY_MS = 5_000;
/** How often a wait is told about in the log, in milliseconds. */
const TELL_EVERY_MS = 5_000;
/** Time that interrupted peers have to hand in what they have. */
const DRAIN_MS = 1_500;
/** Time that peers have to hear the last words and close their connections. */
const FAREWELL_MS = 1_000;

/** Starts the coordinator: sockets, timers and files around the decisions of `run.ts`. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { run, recorder, logger } = options;
  const now = (): number => performance.now();
  const startedAtMs = now();
  const connections = new Map<number, Connection>();
  let { tokens } = options;
  let nextId = 1;
  let interrupted = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lookedAtMs = startedAtMs;
  let pingedAtMs = startedAtMs;
  let toldAtMs = startedAtMs;
  let onAllClosed: (() => void) | undefined;
  let resolveFinished!: (summary: Promise<MethodSummary>) => void;
  const finished = new Promise<MethodSummary>((resolve) => {
    resolveFinished = resolve;
  });

  const perform = (effects: readonly RunEffect[]): void => {
    for (const effect of effects) {
      switch (effect.type) {
        case 'attach': {
          const connection = connections.get(effect.connection);
          if (connection) connection.peer = effect.peer;
          break;
        }
        case 'send': {
          const connection = connections.get(effect.connection);
          const bytes = connection?.send(effect.message, effect.frame) ?? 0;
          const member = run.members.get(connection?.peer ?? '');
          if (member) member.bytesDown += bytes;
          break;
        }
        case 'close':
          connections.get(effect.connection)?.close(effect.code, effect.reason);
          break;
        case 'event':
          recorder.event(effect.record);
          if (effect.record.event === 'missed') logger.debug(effect.record, 'missed');
          else logger.info(effect.record, effect.record.event);
          break;
        case 'metrics':
          recorder.metrics(effect.record);
          break;
        case 'finished':
          resolveFinished(finish());
      }
    }
    schedule();
  };

  /** One timer for everything that time alone brings about; however often messages come, they do not put it off. */
  const schedule = (): void => {
    clearTimeout(timer);
    if (run.phase === 'finished') return;
    const due = Math.min(lookedAtMs + LOOK_EVERY_MS, nextDeadlineMs(run.rounds) ?? Number.POSITIVE_INFINITY);
    timer = setTimeout(onTime, Math.max(0, due - now()));
  };

  const onTime = (): void => {
    lookedAtMs = now();
    if (now() - pingedAtMs >= PING_EVERY_MS) {
      pingedAtMs = now();
      for (const connection of connections.values()) {
        if (now() - connection.heardAtMs > silenceLimitMs(run, connection.peer)) connection.terminate();
        else connection.ping();
      }
    }
    const waiting = whatIsWaitedFor(run, now());
    if (waiting !== null && now() - toldAtMs >= TELL_EVERY_MS) {
      toldAtMs = now();
      logger.info({ reason: waiting }, 'waiting');
    }
    perform(advance(run, now()));
  };

  const finish = async (): Promise<MethodSummary> => {
    run.phase = 'finished';
    clearTimeout(timer);
    const summary = summarise(run, interrupted, (now() - startedAtMs) / 1000);
    const saved = recorder.close(options.summaryFile(summary));
    // Peers cannot mend this machine's disk: for them, too, the run is over.
    await saved.catch(() => {});
    for (const connection of connections.values()) {
      if (interrupted) connection.close(CloseCode.draining, 'the coordinator was interrupted');
      else if (connection.peer !== null) connection.send({ type: 'finished' });
    }
    await saved;
    return summary;
  };

  const allClosed = (): Promise<void> =>
    new Promise((resolve) => {
      onAllClosed = resolve;
      if (connections.size === 0) resolve();
    });

  const countUp = ({ peer }: Connection, bytes: number): void => {
    const member = run.members.get(peer ?? '');
    if (member) member.bytesUp += bytes;
  };

  const gate = createGate({ tokens: () => tokens, loopback: isLoopback(options.host), now });
  const introductions = createIntroductions(run);
  const http = createPages(gate, options.tls, () => statusOf(run, now(), startedAtMs));
  const webSockets = new WebSocketServer({
    noServer: true,
    path: '/ws',
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  /** So that a log holds no more of them than somebody reads. */
  const untold: Attempts = new Map();
  http.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    const address = socket.remoteAddress;
    if (!countFailure(untold, address, now())) return;
    logger.warn({ address, reason: tlsFailure(error, socket) }, 'no TLS connection');
  });
  http.on('upgrade', (request, socket, head) => {
    const address = request.socket.remoteAddress;
    const verdict = gate.upgrade(request);
    // One without a token gets its close code, which tells it not to come back, unless it was told often enough.
    if (!verdict.admitted && verdict.status !== 401) {
      refuseUpgrade(socket, verdict);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const token = verdict.admitted ? verdict.token : null;
      const connection = adoptConnection(nextId++, webSocket, token, now, {
        frameLimit: ({ peer }) => frameLimitOf(run, peer),
        message(from, message, bytes) {
          if (from.peer === null) {
            perform(introductions.receive(from, address, message, now()));
            countUp(from, bytes);
          } else {
            // Counted before its effects: the last message of a run is in the summary that it brings about.
            countUp(from, bytes);
            perform(receive(run, from.peer, message, now()));
          }
        },
        invalid(from, error) {
          const peer = from.peer === null ? {} : { peer: from.peer };
          recorder.event({ event: 'malformed', ...peer, reason: error.message });
          logger.warn({ ...peer, reason: error.message }, 'malformed');
        },
        closed(from, reason) {
          connections.delete(from.id);
          introductions.forget(from.id);
          if (connections.size === 0) onAllClosed?.();
          if (from.peer !== null) perform(disconnected(run, from.peer, from.id, reason, now()));
        },
      });
      connections.set(connection.id, connection);
      if (!verdict.admitted) {
        logger.warn({ address, reason: verdict.reason }, 'refused');
        connection.close(CloseCode.unauthorized, verdict.reason);
      } else if (webSocket.protocol !== SUBPROTOCOL) {
        connection.close(CloseCode.protocolVersion, `expected the subprotocol ${SUBPROTOCOL}`);
      }
    });
  });

  const url = await listen(http, options.host, options.port);
  schedule();
  return {
    url,
    finished,
    useTokens(changed) {
      tokens = changed;
      for (const { token, peer, close } of connections.values()) {
        if (token === null || isAmong(changed, token)) continue;
        const reason = `the token "${token.name}" was revoked`;
        recorder.event({ event: 'revoked', ...(peer !== null && { peer }), reason, token: token.name });
        close(CloseCode.unauthorized, reason);
      }
    },
    interrupt() {
      if (run.phase === 'finished') return;
      interrupted = true;
      const alive = (): boolean =>
        [...run.members.values()].some(
          ({ connected, state, done }) => connected && state !== 'done' && !done,
        );
      const deadline = now() + DRAIN_MS;
      const poll = (): void => {
        if (run.phase === 'finished') return;
        if (alive() && now() < deadline) setTimeout(poll, 50);
        else resolveFinished(finish());
      };
      poll();
    },
    async close() {
      clearTimeout(timer);
      // A closing handshake follows what was sent before; cutting the connection would throw that away.
      for (const connection of connections.values()) connection.close(CloseCode.finished, 'the run is over');
      const farewell = setTimeout(() => {
        for (const connection of connections.values()) connection.terminate();
      }, FAREWELL_MS);
      await allClosed();
      clearTimeout(farewell);
      webSockets.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** The most bytes of a frame: little from strangers, and from a peer that is ready what the run's tensors take. */
function frameLimitOf(run: Run, peer: string | null): number {
  if (peer === null) return PRE_AUTH_FRAME_BYTES;
  const classes = run.members.get(peer)?.ready?.classes;
  // Encodings of features are of any size: maps of layers are megabytes.
  if (classes === undefined || run.wants?.encodings.length) return MAX_FRAME_BYTES;
  return frameLimit(run.options.settings.data.batchSize, classes);
}

/**
 * How long a peer may be silent. Computing blocks a peer's event loop, and with it the answers to pings: slow steps
 * give more time, and the first step more again.
 */
function silenceLimitMs(run: Run, peer: string | null): number {
  const { exchange, data } = run.options.settings;
  const member = run.members.get(peer ?? '');
  const rate = member?.progress?.imagesPerSecond;
  if (!rate) return SLOW_START_LEASES * exchange.lease;
  return Math.max(exchange.lease, 3 * ((data.batchSize / rate) * 1000));
}
