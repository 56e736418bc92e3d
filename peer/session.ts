import { getCodec, hasNonFinite } from '../src/codec/index.ts';
import { CodistillError, ExitCode, messageOf } from '../src/errors.ts';
import { backoffMs } from '../src/exchange/backoff.ts';
import { CloseCode, closeCodeInfo, shouldReconnect } from '../src/protocol/closeCodes.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../src/protocol/wire.ts';
import { createRandom } from '../src/random.ts';
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
  /** Ends the wait for a target, this one and all later ones: the work is to end, and steps go on with the labels alone. */
  abandon(): void;
  /** Leaves, whatever is under way; harmless when it is closed already. */
  close(): void;
}

/** Silence after which a connection counts as dead: three pings of the coordinator. */
const SILENCE_MS = 15_000;
/** Time to read what came in while computing blocked the event loop: timers that are due run before sockets are read. */
const READING_MS = 1_000;
/** How long a coordinator has to answer the end of a connection. */
const CLOSING_MS = 1_000;

const INTERRUPTED: Answer = { kind: 'none', reason: 'interrupted' };

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

export function createSession(options: SessionOptions): Session {
  const jitter = createRandom('backoff', options.hello.incarnation);
  let socket: Socket | null = null;
  let attempt = 0;
  let unreachableSince: number | null = performance.now();
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
  let abandoned = false;
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

  const cutAfter = (ms: number, cut = (): void => socket?.terminate()): void => {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(cut, ms);
  };

  const alive = (): void => {
    if (phase !== 'closed') cutAfter(SILENCE_MS, () => cutAfter(READING_MS));
  };

  /** Ends the connection, and all attempts to have another. */
  const leave = (code: CloseCode, reason: string): void => {
    phase = 'closed';
    link = 'down';
    clearTimeout(retryTimer);
    clearTimeout(silenceTimer);
    answer({ kind: 'none', reason });
    if (!socket) return;
    socket.close(code, reason);
    cutAfter(CLOSING_MS);
  };

  /** The run goes on without us, or cannot go on: everything that waits ends here. */
  const fail = (error: CodistillError, code: CloseCode = CloseCode.finished, reason = 'leaving'): void => {
    // A student that trains learns of it at the end only; whoever watches should not.
    if (phase === 'started' && results === null) options.notify(error.message);
    leave(code, reason);
    for (const waiting of [joined, started, finished]) waiting.reject(error);
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
        if (phase === 'closed') return;
        alive();
        try {
          receive(decodeCoordinatorMessage(bytes));
        } catch (error) {
          const text = `The coordinator sent a message that this peer cannot read: ${messageOf(error)}.`;
          const unreadable = new CodistillError(text, ExitCode.refused, { cause: error });
          fail(unreadable, CloseCode.malformed, 'this peer cannot read the message');
          if (!(error instanceof CodistillError)) throw error;
        }
      },
      closed,
    });
  };

  const closed = (code: number, reason: string, error: Error | null): void => {
    socket = null;
    link = 'down';
    clearTimeout(silenceTimer);
    answer({ kind: 'none', reason: 'disconnected' });
    if (phase === 'closed') return;
    if (!shouldReconnect(code)) {
      const why = reason || closeCodeInfo(code)?.meaning;
      fail(
        new CodistillError(
          `The coordinator refused this peer (close code ${code}): ${why}`,
          ExitCode.refused,
        ),
      );
      return;
    }
    unreachableSince ??= performance.now();
    const cause = error ? error.message || String(error) : reason || `close code ${code}`;
    // Once in, a peer trains on without the coordinator; it only gives up where nothing is left to do without it.
    const idle = phase !== 'started' || results !== null;
    if (idle && performance.now() - unreachableSince > options.patienceMs) {
      const seconds = options.patienceMs / 1000;
      fail(
        new CodistillError(
          `Could not reach the coordinator for ${seconds} s: ${cause}. Is it running, and is the address right?`,
          ExitCode.unreachable,
        ),
      );
      return;
    }
    const delay = backoffMs(attempt, jitter.uniform());
    attempt += 1;
    options.notify(`not connected (${cause}); next attempt in ${(delay / 1000).toFixed(1)} s`);
    retryTimer = setTimeout(connect, delay);
  };

  const receive = (message: CoordinatorMessage): void => {
    switch (message.type) {
      case 'welcome': {
        if (run !== null && message.run !== run) {
          const text = `This peer belongs to run ${run}, but the coordinator now has run ${message.run}.`;
          fail(new CodistillError(text, ExitCode.refused), CloseCode.finished, 'another run');
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
        leave(CloseCode.finished, 'finished');
        finished.resolve();
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
        // Sent in any case: the others of the round wait for it.
        send({ type: 'logits', ...request });
        if (abandoned) answer(INTERRUPTED);
      });
    },
    report(message) {
      if (link === 'started') send(message);
    },
    finish(messages) {
      results = messages;
      // Patience begins here: until now, there was training to do.
      if (unreachableSince !== null) unreachableSince = performance.now();
      if (link === 'started' || link === 'welcomed') for (const message of messages) send(message);
      return finished.promise;
    },
    abandon() {
      abandoned = true;
      answer(INTERRUPTED);
    },
    close() {
      leave(CloseCode.finished, 'leaving');
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
