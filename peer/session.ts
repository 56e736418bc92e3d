import { getCodec, hasNonFinite } from '../src/codec/index.ts';
import { CodistillError, ExitCode } from '../src/errors.ts';
import { backoffMs } from '../src/exchange/backoff.ts';
import { CloseCode, shouldReconnect } from '../src/protocol/closeCodes.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../src/protocol/wire.ts';
import type { Socket, SocketEvents } from './socket.ts';

type Welcome = MessageOf<CoordinatorMessage, 'welcome'>;
type Start = MessageOf<CoordinatorMessage, 'start'>;
type Hello = MessageOf<PeerMessage, 'hello'>;
type Ready = MessageOf<PeerMessage, 'ready'>;
type Logits = MessageOf<PeerMessage, 'logits'>;

/** What a student gets for its logits. */
export type Answer =
  | { readonly kind: 'target'; readonly logits: Float32Array; readonly teachers: number }
  | {
      readonly kind: 'none';
      readonly reason: string;
      /** The round to go on with, when this peer fell behind the others. */
      readonly nextRound?: number;
    };

export interface SessionOptions {
  readonly hello: Hello;
  readonly connect: (events: SocketEvents) => Socket;
  /** How long to go on trying to reach a coordinator, in milliseconds, where nothing can be done without it. */
  readonly patienceMs: number;
  /** Told about every change of the connection, in words. */
  readonly notify: (what: string) => void;
}

/**
 * A peer's side of a run, across reconnects: join, exchange, hand in results. While the connection is away, a student
 * gets no targets and reports are dropped; it joins again by itself, with the same name.
 */
export interface Session {
  /** Resolves when the coordinator has let this peer in. @throws {CodistillError} when it refuses or cannot be reached */
  join(): Promise<Welcome>;
  /** Tells that data and model are loaded, now and after every reconnect. Resolves when training starts. */
  ready(facts: Omit<Ready, 'type'>): Promise<Start>;
  /** Exchanges predictions for a target; never rejects while the run goes on. */
  exchange(logits: Omit<Logits, 'type'>): Promise<Answer>;
  /** Sends a report; dropped when there is no connection, as only the newest matters. */
  report(message: PeerMessage): void;
  /** Hands in the results, again after a reconnect; resolves when the coordinator has saved them. */
  finish(results: readonly PeerMessage[]): Promise<void>;
  /** Ends the wait for a target, if there is one: the step goes on with the labels alone. */
  abandon(): void;
  close(): void;
}

/** Silence after which a connection counts as dead: three pings of the coordinator. */
const SILENCE_MS = 15_000;

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

export function createSession(options: SessionOptions): Session {
  let socket: Socket | null = null;
  let attempt = 0;
  let unreachableSince: number | null = Date.now();
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let silenceTimer: ReturnType<typeof setTimeout> | undefined;
  /** How far this peer ever came. */
  let phase: 'connecting' | 'joined' | 'started' | 'closed' = 'connecting';
  /** How far the present connection came. */
  let link: 'down' | 'open' | 'welcomed' | 'started' = 'down';
  let hello = options.hello;
  let run: string | null = null;
  let ready: Ready | null = null;
  let results: readonly PeerMessage[] | null = null;
  let pending: { readonly request: Omit<Logits, 'type'>; readonly resolve: (answer: Answer) => void } | null =
    null;
  const joined = deferred<Welcome>();
  const started = deferred<Start>();
  const finished = deferred<void>();

  const send = (message: PeerMessage): void => {
    if (!socket || link === 'down') return;
    socket.send(encodeMessage(message));
  };

  const answer = (value: Answer): void => {
    pending?.resolve(value);
    pending = null;
  };

  /** The run goes on without us, or cannot go on: everything that waits ends here. */
  const fail = (error: CodistillError): void => {
    phase = 'closed';
    clearTimeout(retryTimer);
    clearTimeout(silenceTimer);
    for (const waiting of [joined, started, finished]) waiting.reject(error);
    answer({ kind: 'none', reason: error.message });
  };

  const alive = (): void => {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => socket?.terminate(), SILENCE_MS);
  };

  const connect = (): void => {
    socket = options.connect({
      opened: () => {
        alive();
        link = 'open';
        send(hello);
      },
      ping: alive,
      frame: (bytes) => {
        alive();
        try {
          receive(decodeCoordinatorMessage(bytes));
        } catch (error) {
          socket?.close(CloseCode.malformed, 'the coordinator sent a message that this peer cannot read');
          if (!(error instanceof CodistillError)) throw error;
          options.notify(error.message);
        }
      },
      closed,
    });
  };

  const closed = (code: number, reason: string, error: Error | null): void => {
    socket = null;
    link = 'down';
    clearTimeout(silenceTimer);
    if (phase === 'closed') return;
    answer({ kind: 'none', reason: 'disconnected' });
    if (!shouldReconnect(code)) {
      fail(
        new CodistillError(
          `The coordinator refused this peer: ${reason} (close code ${code}).`,
          ExitCode.refused,
        ),
      );
      return;
    }
    unreachableSince ??= Date.now();
    const cause = error ? error.message || String(error) : reason || `close code ${code}`;
    // Once in, a peer trains on without the coordinator; it only gives up where nothing is left to do without it.
    const idle = phase !== 'started' || results !== null;
    if (idle && Date.now() - unreachableSince > options.patienceMs) {
      const seconds = options.patienceMs / 1000;
      fail(
        new CodistillError(
          `Could not reach the coordinator for ${seconds} s: ${cause}. Is it running, and is the address right?`,
          ExitCode.unreachable,
        ),
      );
      return;
    }
    const delay = backoffMs(attempt, Math.random());
    attempt += 1;
    options.notify(`not connected (${cause}); next attempt in ${(delay / 1000).toFixed(1)} s`);
    retryTimer = setTimeout(connect, delay);
  };

  const receive = (message: CoordinatorMessage): void => {
    switch (message.type) {
      case 'welcome': {
        if (run !== null && message.run !== run) {
          const text = `This peer belongs to run ${run}, but the coordinator now has run ${message.run}.`;
          fail(new CodistillError(text, ExitCode.refused));
          socket?.close(1000, 'another run');
          return;
        }
        run = message.run;
        link = 'welcomed';
        hello = { ...hello, name: message.name, model: message.model };
        attempt = 0;
        unreachableSince = null;
        if (phase === 'connecting') phase = 'joined';
        options.notify(`joined run ${message.run} as ${message.name}`);
        joined.resolve(message);
        if (ready) send(ready);
        for (const result of results ?? []) send(result);
        return;
      }
      case 'start':
        phase = 'started';
        link = 'started';
        started.resolve(message);
        return;
      case 'target':
        receiveTarget(message);
        return;
      case 'noTarget':
        if (message.round !== pending?.request.round) return;
        answer({
          kind: 'none',
          reason: message.reason,
          ...(message.nextRound !== undefined && { nextRound: message.nextRound }),
        });
        return;
      case 'finished':
        phase = 'closed';
        clearTimeout(silenceTimer);
        finished.resolve();
        socket?.close(1000, 'finished');
    }
  };

  const receiveTarget = (message: MessageOf<CoordinatorMessage, 'target'>): void => {
    const request = pending?.request;
    if (!request || message.round !== request.round) return;
    const sameRows =
      message.view === request.view &&
      String(message.shape) === String(request.shape) &&
      message.batch.every((byte, i) => byte === request.batch[i]);
    if (!sameRows) {
      answer({ kind: 'none', reason: 'the target belongs to other samples' });
      return;
    }
    const logits = getCodec(message.codec).decode(message.data, ...message.shape);
    if (hasNonFinite(logits)) answer({ kind: 'none', reason: 'the target is not finite' });
    else answer({ kind: 'target', logits, teachers: message.teachers });
  };

  return {
    join() {
      connect();
      return joined.promise;
    },
    ready(facts) {
      ready = { type: 'ready', ...facts };
      if (link === 'welcomed') send(ready);
      return started.promise;
    },
    exchange(request) {
      if (link !== 'started') return Promise.resolve({ kind: 'none', reason: 'disconnected' });
      return new Promise((resolve) => {
        pending = { request, resolve };
        send({ type: 'logits', ...request });
      });
    },
    report(message) {
      if (link === 'started') send(message);
    },
    finish(messages) {
      results = messages;
      if (link === 'started' || link === 'welcomed') for (const message of messages) send(message);
      return finished.promise;
    },
    abandon() {
      answer({ kind: 'none', reason: 'interrupted' });
    },
    close() {
      phase = 'closed';
      clearTimeout(retryTimer);
      clearTimeout(silenceTimer);
      socket?.close(1000, 'leaving');
    },
  };
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  // Whoever awaits it sees the error; until then it is no unhandled one.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
