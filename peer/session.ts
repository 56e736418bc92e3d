import { CodistillError, ExitCode, messageOf } from '../src/errors.ts';
import { backoffMs } from '../src/exchange/backoff.ts';
import { CloseCode, closeCodeInfo, shouldReconnect } from '../src/protocol/closeCodes.ts';
import { identityText } from '../src/protocol/identity.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../src/protocol/wire.ts';
import { createRandom } from '../src/random.ts';
import { type Answer, answerOf, type Question } from './answer.ts';
import type { Borrowing } from './borrowing.ts';
import { type Clock, systemClock } from './clock.ts';
import { deferred } from './deferred.ts';
import type { Lender } from './lending.ts';
import type { Socket, SocketEvents } from './socket.ts';

type Welcome = MessageOf<CoordinatorMessage, 'welcome'>;
type Start = MessageOf<CoordinatorMessage, 'start'>;
type Hello = MessageOf<PeerMessage, 'hello'>;
type Ready = MessageOf<PeerMessage, 'ready'>;

/** What a peer does while its coordinator is away: wait for it, or go on with the labels alone. */
export type OnCoordinatorLoss = 'wait' | 'continue';

/** What becomes of weights that one student sends another one. */
export interface WeightsOptions {
  /** Sends this student's; absent: it keeps them to itself. */
  readonly lender?: Lender | undefined;
  /** Takes those of another one, to begin with; absent: it wants none. */
  readonly borrower?: Pick<Borrowing, 'take' | 'state'> | undefined;
}

export interface SessionOptions {
  readonly hello: Hello;
  /** Signs with the private key of `hello.identity`; absent where that is. */
  readonly sign?: (text: Uint8Array) => Uint8Array;
  readonly connect: (events: SocketEvents) => Socket;
  /** How long to go on trying to reach a coordinator, in milliseconds, where nothing can be done without it. */
  readonly patienceMs: number;
  /** Told about every change of the connection, in words. */
  readonly notify: (what: string) => void;
  readonly clock?: Clock;
}

/**
 * A peer's side of a run, across reconnects: join, exchange, hand in results. While the connection is away, reports are
 * dropped, and a student waits for its target or gets none, as it was told; it joins again by itself, with the same name.
 */
export interface Session {
  /** Resolves when the coordinator has let this peer in. @throws {CodistillError} when it refuses or cannot be reached */
  join(): Promise<Welcome>;
  /**
   * Tells that data and model are loaded, now and after every reconnect. Resolves when training starts.
   *
   * @param onLoss what to do with the exchange under way when the coordinator is lost after that
   * @param weights of students
   */
  ready(
    facts: Omit<Ready, 'type' | 'lends' | 'wantsWeights'>,
    onLoss?: OnCoordinatorLoss,
    weights?: WeightsOptions,
  ): Promise<Start>;
  /**
   * Exchanges predictions for a target; never rejects while the run goes on.
   *
   * @param shape of the target's logits
   */
  exchange(request: Question['request'], shape: Question['shape']): Promise<Answer>;
  /** Sends a report; dropped when there is no connection, as only the newest matters. */
  report(message: PeerMessage): void;
  /** Hands in the results, again after a reconnect; resolves when the coordinator has saved them. */
  finish(results: readonly PeerMessage[]): Promise<void>;
  /** Ends the wait for a target, this one and all later ones: the work is to end, and steps go on with the labels alone. */
  abandon(): void;
  /** Calls `listener` with every piece of another peer's weights, in the place of the one before. */
  onCheckpoint(listener: (piece: MessageOf<CoordinatorMessage, 'checkpoint'>) => void): void;
  /** Resolves when the connection is there, or will never be again. */
  online(): Promise<void>;
  /** Whether the run is over for this peer: there is no connection, and there will be none. */
  isOver(): boolean;
  /** Aborted when the peer waited for its coordinator in vain, or another process has its name: its training is to end. */
  readonly lost: AbortSignal;
  /** Leaves, whatever is under way; harmless when it is closed already. */
  close(): void;
}

/** How often a coordinator pings that does not say so, in milliseconds. */
const PING_EVERY_MS = 5_000;
/** Pings that do not come before a connection counts as dead. */
const LOST_PINGS = 3;
/** Time to read what came in while computing blocked the event loop: timers that are due run before sockets are read. */
const READING_MS = 1_000;
/** How long a coordinator has to answer the end of a connection. */
const CLOSING_MS = 1_000;

/** Of other peers' weights: a mebibyte each. */
const MAX_EARLY_PIECES = 256;

const INTERRUPTED: Answer = { kind: 'none', reason: 'interrupted', ended: true };

export function createSession(options: SessionOptions): Session {
  const { clock = systemClock } = options;
  const jitter = createRandom('backoff', options.hello.incarnation);
  let socket: Socket | null = null;
  let attempt = 0;
  let unreachableSince: number | null = clock.now();
  let cancelRetry = (): void => {};
  let cancelSilence = (): void => {};
  /** How far this peer ever came. */
  let phase: 'connecting' | 'joined' | 'started' | 'closed' = 'connecting';
  /** How far the present connection came. */
  let link: 'down' | 'open' | 'welcomed' | 'started' = 'down';
  let hello = options.hello;
  let silenceMs = LOST_PINGS * PING_EVERY_MS;
  let run: string | null = null;
  let ready: Ready | null = null;
  let results: readonly PeerMessage[] | null = null;
  let abandoned = false;
  let weights: WeightsOptions = {};
  let onLoss: OnCoordinatorLoss = 'continue';
  let onLossOnceStarted: OnCoordinatorLoss = onLoss;
  /** The round that it came to. */
  let round: number | null = null;
  const lost = new AbortController();
  /** Pieces that came before anybody listened. */
  const early: MessageOf<CoordinatorMessage, 'checkpoint'>[] = [];
  let onCheckpoint = (piece: MessageOf<CoordinatorMessage, 'checkpoint'>): void => {
    if (early.length < MAX_EARLY_PIECES) early.push(piece);
  };
  const awaiting: (() => void)[] = [];
  const settleAwaiting = (): void => {
    for (const resolve of awaiting.splice(0)) resolve();
  };
  let pending: (Question & { readonly resolve: (answer: Answer) => void }) | null = null;
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
    cancelSilence();
    cancelSilence = clock.after(ms, cut);
  };

  const alive = (): void => {
    if (phase !== 'closed') cutAfter(silenceMs, () => cutAfter(READING_MS));
  };

  /** Ends the connection, and all attempts to have another. */
  const leave = (code: CloseCode, reason: string): void => {
    phase = 'closed';
    link = 'down';
    cancelRetry();
    cancelSilence();
    answer({ kind: 'none', reason, ...(lost.signal.aborted && { ended: true }) });
    settleAwaiting();
    if (!socket) return;
    socket.close(code, reason);
    cutAfter(CLOSING_MS);
  };

  /** The run goes on without us, or cannot go on: everything that waits ends here. */
  const fail = (error: CodistillError, code: CloseCode = CloseCode.finished, reason = 'leaving'): void => {
    // A student that trains learns of it at the end only; whoever watches should not.
    if (phase === 'started' && results === null) options.notify(error.message);
    if (onLoss === 'wait') lost.abort();
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
    cancelSilence();
    weights.lender?.forget();
    // This session has one connection at a time: a newer one is another process's, which does this one's work now.
    if (code === CloseCode.superseded) lost.abort();
    if (onLoss === 'continue' || phase === 'closed')
      answer({ kind: 'none', reason: 'disconnected', ...(lost.signal.aborted && { ended: true }) });
    if (phase === 'closed') return;
    if (!shouldReconnect(code)) {
      fail(new CodistillError(refusal(code, reason, hello.name), ExitCode.refused));
      return;
    }
    unreachableSince ??= clock.now();
    // Not once it is in: a certificate can be renewed while the peer trains on.
    if (phase === 'connecting' && error instanceof CodistillError) {
      fail(error);
      return;
    }
    const cause = error ? error.message || String(error) : reason || `close code ${code}`;
    // Once in, a peer may train on without the coordinator; it only gives up where nothing is left to do without it.
    const idle = phase !== 'started' || results !== null || onLoss === 'wait';
    if (idle && clock.now() - unreachableSince > options.patienceMs) {
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
    cancelRetry = clock.after(delay, connect);
  };

  const receive = (message: CoordinatorMessage): void => {
    switch (message.type) {
      case 'challenge':
        if (options.sign) send({ type: 'proof', signature: options.sign(identityText(hello, message)) });
        return;
      case 'welcome': {
        if (run !== null && message.run !== run) {
          const text = `This peer belongs to run ${run}, but the coordinator now has run ${message.run}.`;
          fail(new CodistillError(text, ExitCode.refused), CloseCode.finished, 'another run');
          return;
        }
        run = message.run;
        link = 'welcomed';
        hello = { ...hello, name: message.name, model: message.model };
        silenceMs = LOST_PINGS * (message.pingEvery ?? PING_EVERY_MS);
        attempt = 0;
        unreachableSince = null;
        if (phase === 'connecting') phase = 'joined';
        options.notify(`joined run ${message.run} as ${message.name}`);
        joined.resolve(message);
        if (ready) send({ ...ready, ...(round !== null && { step: round }) });
        for (const result of results ?? []) send(result);
        return;
      }
      case 'start':
        // One that has begun wants no other weights after a reconnect, and goes on from where it began.
        if (phase !== 'started' && ready?.wantsWeights) {
          const { wantsWeights, ...facts } = ready;
          ready = { ...facts, ...(message.weights && { step: message.step ?? 0 }) };
        }
        phase = 'started';
        link = 'started';
        onLoss = onLossOnceStarted;
        started.resolve(message);
        // What was under way when the connection was lost: it is answered once, however often it is sent.
        if (pending) send({ type: 'logits', ...pending.request });
        settleAwaiting();
        return;
      case 'target':
      case 'noTarget':
      case 'advance':
        if (pending && message.round === pending.request.round) answer(answerOf(message, pending));
        return;
      case 'checkpoint': {
        const { request } = message;
        if (request === undefined) onCheckpoint(message);
        // Before the start: afterwards nobody waits for weights to begin with.
        else if (weights.borrower && link === 'welcomed')
          send(weights.borrower.take({ ...message, request }));
        return;
      }
      case 'sendWeights':
        weights.lender?.asked(message);
        return;
      case 'finished':
        leave(CloseCode.finished, 'finished');
        finished.resolve();
    }
  };

  return {
    join() {
      connect();
      return joined.promise;
    },
    ready(facts, onLossThen = 'continue', theWeights = {}) {
      weights = theWeights;
      ready = {
        ...{ type: 'ready', ...facts },
        ...(weights.lender && { lends: true }),
        ...(weights.borrower && { wantsWeights: true }),
      };
      onLossOnceStarted = onLossThen;
      if (link === 'welcomed') send(ready);
      return started.promise;
    },
    exchange(request, shape) {
      round = request.round;
      const waits = onLoss === 'wait' && phase === 'started';
      if (link !== 'started' && !waits) return Promise.resolve({ kind: 'none', reason: 'disconnected' });
      return new Promise((resolve) => {
        pending = { request, shape, resolve };
        // Sent in any case: the others of the round wait for it.
        if (link === 'started') send({ type: 'logits', ...request });
        if (abandoned) answer(INTERRUPTED);
      });
    },
    report(message) {
      if (link === 'started') send(message);
    },
    finish(messages) {
      results = messages;
      // Patience begins here: until now, there was training to do.
      if (unreachableSince !== null) unreachableSince = clock.now();
      if (link === 'started' || link === 'welcomed') for (const message of messages) send(message);
      return finished.promise;
    },
    abandon() {
      abandoned = true;
      answer(INTERRUPTED);
      settleAwaiting();
    },
    onCheckpoint(listener) {
      onCheckpoint = listener;
      for (const piece of early.splice(0)) listener(piece);
    },
    isOver: () => phase === 'closed',
    lost: lost.signal,
    online() {
      if (link === 'started' || phase === 'closed') return Promise.resolve();
      return new Promise((resolve) => awaiting.push(resolve));
    },
    close() {
      leave(CloseCode.finished, 'leaving');
    },
  };
}

/** Why a coordinator has closed a connection for good, and what to do. */
function refusal(code: number, reason: string, name = ''): string {
  if (code === CloseCode.superseded) {
    return `Another process has taken the name "${name}" in this run (close code ${code}), so this one ends. Start each peer with a --name of its own.`;
  }
  return `The coordinator refused this peer (close code ${code}): ${reason || closeCodeInfo(code)?.meaning}`;
}
