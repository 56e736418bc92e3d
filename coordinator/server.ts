import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { pingIntervalMs } from '../src/exchange/pingInterval.ts';
import type { Logger } from '../src/logger.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import { MAX_FRAME_BYTES } from '../src/protocol/limits.ts';
import { SUBPROTOCOL } from '../src/protocol/messages.ts';
import type { Recorder } from '../src/results/recorder.ts';
import type { MethodSummary } from '../src/results/types.ts';
import type { Token } from '../src/token.ts';
import { countEnd, createConnectionCounts, whyFull } from './admission.ts';
import { type Attempts, countFailure } from './attempts.ts';
import { nextDeadlineMs } from './awaiting.ts';
import { adoptConnection, type Connection } from './connections.ts';
import { createGate, isLoopback, type Verdict } from './gate.ts';
import { createHandlers } from './handlers.ts';
import { createPages, listen } from './http.ts';
import { createIntroductions } from './introduction.ts';
import { createMemoryAccount, heldBytes } from './memory.ts';
import { createMetrics } from './metrics.ts';
import { patienceMs } from './patience.ts';
import { advance } from './run.ts';
import type { Run, RunEffect } from './runState.ts';
import { statusOf, whyNotReady } from './status.ts';
import { summarise } from './summary.ts';
import { type ServerTls, tlsFailure } from './tls.ts';
import { isAmong } from './tokens.ts';
import { whatIsWaitedFor } from './waits.ts';
import { refuseUpgrade } from './web.ts';

export interface ServerOptions {
  readonly run: Run;
  readonly host: string;
  readonly port: number;
  /** What peers must show; `null`: anybody who can reach the address may join. */
  readonly tokens: readonly Token[] | null;
  /** `null`: plain HTTP. */
  readonly tls: ServerTls | null;
  /** Connections at a time; any number when absent. */
  readonly maxPeers?: number;
  /** Bytes that may be held for peers; any number when absent. */
  readonly maxMemoryBytes?: number;
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

/** How often to look at what no deadline brings about, in milliseconds; more often where pings are. */
const LOOK_EVERY_MS = 1_000;
/** What a client of any version offers. */
const ANY_VERSION = /^codistill\.v\d{1,4}$/;
/** How often a wait is told about in the log, in milliseconds. */
const TELL_EVERY_MS = 5_000;
/** Time that interrupted peers have to hand in what they have. */
const DRAIN_MS = 1_500;
/** How long a peer that does not compute may read nothing of what was sent to it, in milliseconds. */
const READING_MS = 10_000;
/** Pieces that one message may come in. */
const MAX_FRAGMENTS = 4_096;
/** Chunks of the network that one message may come in: a slow line brings few bytes at a time. */
const MAX_CHUNKS = 262_144;
/** Time that peers have to hear the last words and close their connections. */
const FAREWELL_MS = 1_000;

/** Starts the coordinator: sockets, timers and files around the decisions of `run.ts`. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { run, recorder, logger } = options;
  const now = (): number => performance.now();
  const startedAtMs = now();
  const connections = new Map<number, Connection>();
  const counts = createConnectionCounts();
  const held = (): number =>
    [...connections.values()].reduce((sum, each) => sum + each.queuedBytes(), heldBytes(run));
  const memory = createMemoryAccount(options.maxMemoryBytes ?? Number.POSITIVE_INFINITY, held);
  let { tokens } = options;
  const pingEveryMs = pingIntervalMs(run.options.settings.exchange.lease);
  const lookEveryMs = Math.min(LOOK_EVERY_MS, pingEveryMs);
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
        case 'attach':
          connections.get(effect.connection)?.admit(effect.peer);
          break;
        case 'send':
          connections.get(effect.connection)?.send(effect.message, effect.frame);
          break;
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

  const patienceOf = ({ peer }: Connection, usualMs: number): number =>
    patienceMs(run, run.members.get(peer ?? ''), usualMs);

  /** One timer for everything that time alone brings about; however often messages come, they do not put it off. */
  const schedule = (): void => {
    clearTimeout(timer);
    if (run.phase === 'finished') return;
    const due = Math.min(lookedAtMs + lookEveryMs, nextDeadlineMs(run.rounds) ?? Number.POSITIVE_INFINITY);
    timer = setTimeout(onTime, Math.max(0, due - now()));
  };

  const onTime = (): void => {
    lookedAtMs = now();
    try {
      look();
    } catch (error) {
      logger.error({ err: error }, 'failed');
      schedule();
    }
  };

  const look = (): void => {
    for (const connection of connections.values()) connection.cutIfStuck(patienceOf(connection, READING_MS));
    if (now() - pingedAtMs >= pingEveryMs) {
      pingedAtMs = now();
      for (const connection of connections.values()) {
        const allowedMs = patienceOf(connection, run.options.settings.exchange.lease);
        if (now() - connection.heardAtMs > allowedMs) connection.terminate();
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

  const gate = createGate({ tokens: () => tokens, loopback: isLoopback(options.host), now });
  const introductions = createIntroductions(run);
  /** Of the other ends of connections. */
  const addresses = new Map<number, string | undefined>();
  const events = createHandlers({
    ...{ run, now, recorder, logger, perform, counts },
    hasRoomFor: memory.hasRoomFor,
    introduce: (from, message) => introductions.receive(from, addresses.get(from.id), message, now()),
    addressOf: ({ id }) => addresses.get(id),
    gone(connection) {
      connections.delete(connection.id);
      addresses.delete(connection.id);
      introductions.forget(connection.id);
      if (connections.size === 0) onAllClosed?.();
    },
  });

  const metrics = createMetrics({ run, now, startedAtMs, connections, counts, heldBytes: held });
  const http = createPages(gate, options.tls, {
    status: () => statusOf(run, now(), startedAtMs),
    metrics: metrics.read,
    whyNotReady: () => whyNotReady(run),
  });
  const webSockets = new WebSocketServer({
    noServer: true,
    path: '/ws',
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_CHUNKS,
    perMessageDeflate: false,
    // Another version is taken as well, to be told which one is spoken here: without an answer to what they have offered,
    // most clients give up before they hear why.
    handleProtocols: (offered) =>
      offered.has(SUBPROTOCOL) ? SUBPROTOCOL : ([...offered].find((name) => ANY_VERSION.test(name)) ?? false),
  });
  /** So that a log holds no more of them than somebody reads. */
  const untold: Attempts = new Map();
  http.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    const address = socket.remoteAddress;
    if (!countFailure(untold, address, now())) return;
    logger.warn({ address, reason: tlsFailure(error, socket) }, 'no TLS connection');
  });
  http.on('upgrade', (request, socket, head) => {
    const places = run.options.places.length;
    const full = whyFull(connections.values(), options.maxPeers ?? Number.POSITIVE_INFINITY, places);
    const verdict =
      full === null
        ? gate.upgrade(request)
        : ({ admitted: false, status: 503, reason: full } satisfies Verdict);
    // One without a token gets its close code, which tells it not to come back, unless it was told often enough.
    if (!verdict.admitted && verdict.status !== 401) {
      countEnd(counts.refused, verdict.status);
      refuseUpgrade(socket, verdict);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const token = verdict.admitted ? verdict.token : null;
      const connection = adoptConnection(nextId++, webSocket, token, now, events);
      connections.set(connection.id, connection);
      addresses.set(connection.id, request.socket.remoteAddress);
      // A part of a frame is a sign of life as well: on a slow line, answers to pings wait behind it.
      socket.on('data', connection.heard);
      if (!verdict.admitted) {
        connection.close(CloseCode.unauthorized, verdict.reason);
      } else if (webSocket.protocol !== SUBPROTOCOL) {
        const got = webSocket.protocol || 'none';
        connection.close(CloseCode.protocolVersion, `expected the subprotocol ${SUBPROTOCOL}, got ${got}`);
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
      run.drainingUntilMs = deadline;
      const poll = (): void => {
        if (run.phase === 'finished') return;
        if (alive() && now() < deadline) setTimeout(poll, 50);
        else resolveFinished(finish());
      };
      poll();
    },
    async close() {
      clearTimeout(timer);
      metrics.close();
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
