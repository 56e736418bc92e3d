import { nextDeadlineMs } from '../../coordinator/awaiting.ts';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import { statusOf } from '../../coordinator/status.ts';
import { summarise } from '../../coordinator/summary.ts';
import type { RunSettings } from '../../src/config/schema.ts';
import type { CoordinatorMessage, PeerMessage } from '../../src/protocol/messages.ts';
import { ProtocolError } from '../../src/protocol/protocolError.ts';
import { decodeCoordinatorMessage, decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { emptyRun, helloOf, logitsOf, settingsWith } from '../coordinator/support.ts';
import { type Happening, type RunCase, readyFor, runCases } from './runCases.ts';
import { type Clock, expectQuick, type Target } from './target.ts';

/** The rounds that may be open at once for each peer: nothing that a peer says may fill the memory. */
const MOST_OPEN_ROUNDS = 16;
/** The requests for weights that may be kept at once: a few for each name, and those that nobody answers end. */
const MOST_REQUESTS = 64;
/** So long that no round waits for a student, and no place for a peer, any longer. */
const LONG_MS = 1_000_000;

/**
 * A coordinator's run without sockets, whatever its peers say and in whatever order: it never throws, says nothing that
 * a peer could not read, answers nothing twice, forgets nothing that it counts, and ends every wait.
 */
export const runs: Target<RunCase> = {
  name: 'run',
  share: 2,
  cases: runCases,
  check: (one) => expectQuick((clock) => play(one, clock)),
};

interface Connection {
  peer: string | null;
  /** Whether what comes over it still counts. */
  open: boolean;
}

/** The part of the server: connections, and a clock. */
interface Table {
  readonly run: Run;
  readonly connections: Map<number, Connection>;
  /** Questions of each peer about each round, less the answers. */
  readonly unanswered: Map<string, number>;
  nowMs: number;
  nextId: number;
  finished: number;
  longestMs: number;
  readonly clock: Clock;
}

/** Settings by exchange: validating them takes longer than all that happens in a run. */
const settings = new Map<string, RunSettings>();

function settingsFor(exchange: RunCase['exchange']): RunSettings {
  const key = JSON.stringify(exchange);
  const known = settings.get(key) ?? settingsWith(exchange);
  settings.set(key, known);
  return known;
}

/** @returns the longest time that one happening took, in milliseconds */
function play(one: RunCase, clock: Clock): number {
  const { names, exchange, startedWith, happenings } = one;
  const run = emptyRun(names, settingsFor(exchange));
  const table: Table = {
    ...{ run, clock, connections: new Map(), unanswered: new Map() },
    ...{ nowMs: 0, nextId: 1, finished: 0, longestMs: 0 },
  };
  if (startedWith !== null) {
    for (const name of names) happen(table, { do: 'connect', hello: helloOf(name) });
    for (const [who, name] of names.entries()) {
      happen(table, { do: 'say', who, message: readyFor(name, startedWith, one) });
    }
  }
  for (const happening of happenings) happen(table, happening);
  JSON.stringify(statusOf(run, table.nowMs, 0));
  for (const ms of [0, LONG_MS, 0]) happen(table, { do: 'wait', ms });
  expectNoWait(run);
  for (const interrupted of [true, false]) JSON.stringify(summarise(run, interrupted, 1));
  return table.longestMs;
}

function happen(table: Table, happening: Happening): void {
  const before = countersOf(table.run);
  if (happening.do === 'flood') {
    const { who, from, count } = happening;
    for (let i = 0; i < count; i++) act(table, { do: 'say', who, message: logitsOf(from + i) });
  } else {
    act(table, happening);
  }
  expectConsistent(table);
  for (const [name, count] of Object.entries(countersOf(table.run))) {
    if (count < before[name]!) throw new Error(`${name}: expected at least ${before[name]}, got ${count}`);
  }
}

type Single = Exclude<Happening, { readonly do: 'flood' }>;

function act(table: Table, happening: Single): void {
  const startedAt = table.clock();
  const effects = effectsOf(table, happening);
  table.longestMs = Math.max(table.longestMs, table.clock() - startedAt);
  perform(table, effects);
}

function effectsOf(table: Table, happening: Single): RunEffect[] {
  const { run, connections, nowMs } = table;
  switch (happening.do) {
    case 'connect': {
      connections.set(table.nextId, { peer: null, open: true });
      return hello(run, table.nextId++, happening.hello, nowMs);
    }
    case 'say': {
      const speaking = [...connections.values()].filter(({ peer, open }) => open && peer !== null);
      const connection = speaking[happening.who % Math.max(1, speaking.length)];
      const message = connection && arrived(happening.message);
      if (!message) {
        if (connection) connection.open = false;
        return [];
      }
      ask(table, connection.peer!, message);
      return receive(run, connection.peer!, message, nowMs);
    }
    case 'drop': {
      const id = [...connections.keys()][happening.who % Math.max(1, connections.size)];
      return id === undefined ? [] : drop(table, id);
    }
    case 'wait': {
      table.nowMs += happening.ms;
      const closed = [...connections].filter(([, { open }]) => !open);
      for (const [id] of closed) perform(table, drop(table, id));
      return advance(run, table.nowMs);
    }
  }
}

/** The message as it comes out of its frame; `null` for one that is refused before the run sees it. */
function arrived(message: PeerMessage): PeerMessage | null {
  try {
    return decodePeerMessage(encodeMessage(message));
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

function drop({ run, connections, nowMs }: Table, id: number): RunEffect[] {
  const { peer } = connections.get(id)!;
  connections.delete(id);
  return peer === null ? [] : disconnected(run, peer, id, 'it ended', nowMs);
}

function perform(table: Table, effects: readonly RunEffect[]): void {
  for (const effect of effects) {
    switch (effect.type) {
      case 'attach':
        table.connections.get(effect.connection)!.peer = effect.peer;
        break;
      case 'send':
        decodeCoordinatorMessage(encodeMessage(effect.message));
        answer(table, effect.connection, effect.message);
        break;
      case 'close': {
        const connection = table.connections.get(effect.connection);
        if (connection) connection.open = false;
        break;
      }
      case 'finished':
        table.finished += 1;
        break;
      default:
        JSON.stringify(effect);
    }
  }
}

function ask({ unanswered }: Table, peer: string, message: PeerMessage): void {
  if (message.type !== 'logits') return;
  const key = `${peer} ${message.round}`;
  unanswered.set(key, (unanswered.get(key) ?? 0) + 1);
}

function answer({ connections, unanswered }: Table, connection: number, message: CoordinatorMessage): void {
  if (message.type !== 'target' && message.type !== 'noTarget' && message.type !== 'advance') return;
  const key = `${connections.get(connection)?.peer} ${message.round}`;
  const left = (unanswered.get(key) ?? 0) - 1;
  if (left < 0)
    throw new Error(`${key}: expected one answer for each question, got one more: ${message.type}`);
  unanswered.set(key, left);
}

/** What never decreases. */
function countersOf({ committed, missed, rounds, phase, predictions }: Run): Record<string, number> {
  const phases = ['waiting', 'training', 'finished'];
  const rows = [...predictions.values()].reduce((sum, each) => sum + each.rows, 0);
  return { committed, ...missed, lastClosed: rounds.lastClosed, phase: phases.indexOf(phase), rows };
}

function expectConsistent({ run, connections, finished }: Table): void {
  const expect = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`inconsistent: ${what}`);
  };
  for (const [peer, id] of run.connections) {
    expect(run.members.get(peer)?.connected === true, `${peer} has a connection and is not connected`);
    expect(connections.get(id)?.peer === peer, `connection ${id} is not that of ${peer}`);
  }
  for (const [name, member] of run.members) {
    expect(member.name === name, `${name} is ${member.name}`);
    expect(!member.connected || run.connections.has(name), `${name} is connected without a connection`);
    expect(member.state !== 'done' || member.done !== null, `${name} is done without saying so`);
  }
  for (const role of ['student', 'teacher']) {
    const places = run.options.places.filter((place) => place.role === role).length;
    const members = [...run.members.values()].filter((member) => member.role === role).length;
    expect(members <= places, `${members} ${role}s have ${places} places`);
  }
  for (const { newcomer, newcomerConnection, whole, bytes } of run.handovers.open.values()) {
    const { connected, state } = run.members.get(newcomer)!;
    expect(connected && state === 'ready', `${newcomer} gets weights, and is ${state}`);
    expect(run.connections.get(newcomer) === newcomerConnection, `${newcomer} gets weights where it was`);
    expect(bytes <= (whole?.size ?? 0), `${newcomer} has ${bytes} bytes of ${whole?.size ?? 0}`);
  }
  const requests = run.handovers.open.size + run.handovers.late.size;
  expect(requests <= MOST_REQUESTS, `${requests} requests for weights are kept`);
  const { students, open, lastClosed } = run.rounds;
  for (const [round, { contributions }] of open) {
    expect(contributions.size > 0, `nobody has sent anything for round ${round}`);
    for (const peer of contributions.keys()) {
      expect(students.has(peer), `${peer} has sent for round ${round} without being in`);
      expect(students.get(peer)!.round >= round, `${peer} has sent for round ${round}, and was not there`);
    }
  }
  expect(open.size <= students.size * MOST_OPEN_ROUNDS, `${open.size} rounds are open`);
  expect(lastClosed < 2 ** 31 - 1, `there is no round after ${lastClosed}`);
  expect(finished === Number(run.phase === 'finished'), `${finished} ends in phase ${run.phase}`);
  const deadline = nextDeadlineMs(run.rounds);
  expect(deadline === null || Number.isFinite(deadline), `the next deadline is ${deadline}`);
}

/** After a long time, no student waits for an answer, unless the run waits for everyone, and who is here stays. */
function expectNoWait(run: Run): void {
  const waiting = [...run.rounds.open.values()].filter(({ openedAtMs }) => openedAtMs !== null);
  if (run.options.settings.exchange.quorum !== 'all' && waiting.length > 0) {
    throw new Error(`${waiting.length} rounds of students wait for ever`);
  }
  if (run.handovers.open.size > 0) throw new Error('a newcomer waits for weights for ever');
  for (const { name, connected, state } of run.members.values()) {
    if (!connected && state !== 'lost' && state !== 'done')
      throw new Error(`${name} is away and keeps its place`);
  }
}
