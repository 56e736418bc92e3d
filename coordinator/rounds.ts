/**
 * The rounds of lockstep exchange, as decisions without sockets or clocks: what to answer, to whom, given what arrived
 * and when. A function here changes the state it is given and returns what follows from that as data; equal histories
 * give equal effects.
 *
 * A round is one batch. It opens with the first logits and closes when everybody who is awaited has sent:
 *
 *     awaited = connected or expected back, not done, not lagging, not behind, and not past the round
 *
 * Who is away gets its targets made all the same: it asks for them when it is back (see `recalls`), until it has caught
 * up and is awaited again. With the quorum `all`, who is away is awaited for as long as it has a place.
 *
 * Who lets the deadline pass is *lagging*: nobody waits for it any more. Its next logits are answered `late` with the
 * round that the others are at; it goes there and is awaited again, unless that happened too often.
 *
 * Students set the pace. Time runs from the first student's logits, not from those of a teacher, who has less to do and
 * is early; and a round that only teachers have sent to stays open for as long as a student may still come to it.
 * Otherwise a frozen teacher would run through all batches while the students are away, and leave them behind.
 */
import { awaited, deadlineMs, studentMayCome } from './awaiting.ts';
import { close } from './closing.ts';
import type { Contribution, OpenRound, RoundEffect, Rounds, Student } from './roundState.ts';

/** Missed deadlines after which a student that fell behind is not awaited again before it is on time by itself. */
const MAX_STRIKES = 3;

/** Rounds that a student which is back takes again, however far behind it is. */
const REPLAYS_AT_LEAST = 20;
/** Rounds that it has to come nearer to the others with each that it takes again, from then on. */
const LEAST_GAIN = 0.25;

/** Rounds that a peer may have open at a time: that of its batch, and those that it gave up when its connection broke. */
const MAX_UNANSWERED = 16;

/** Rounds that a peer may be ahead of all others: it trained on while it was away. */
const MAX_LEAD = 1_000;

export interface Joining {
  readonly teaches: boolean;
  readonly learns: boolean;
  /** The step that a student goes on from, when it comes back as a new process; absent when it never went. */
  readonly step?: number | undefined;
}

/** A student begins, or is back with a new connection. Joining a run that is under way, it is awaited once it has caught up. */
export function join(rounds: Rounds, peer: string, nowMs: number, { step, ...part }: Joining): RoundEffect[] {
  const known = rounds.students.get(peer);
  if (known) {
    const back = {
      connected: true,
      expected: false,
      done: false,
      finished: false,
      busy: true,
      busyAtMs: nowMs,
    };
    // Of a process that never went, the round that it sent for last tells how far it is.
    const next = step ?? known.round + 1;
    Object.assign(known, back, { behind: next <= rounds.lastClosed });
    Object.assign(known.replay, { gap: rounds.lastClosed - next, rounds: 0 });
    // One that was expected may be behind: nobody waits for it then.
    return settleAll(rounds);
  }
  const underWay = rounds.lastClosed >= 0;
  rounds.students.set(peer, {
    ...part,
    ...{
      connected: true,
      expected: false,
      done: false,
      finished: false,
      lagging: underWay,
      behind: underWay,
      strikes: 0,
    },
    ...{ round: -1, resumesAt: 0, busy: true, busyAtMs: nowMs },
    replay: { gap: rounds.lastClosed, rounds: 0 },
  });
  return [];
}

/** A student of a run that goes on after its coordinator was away: it is expected back, for as long as a round waits. */
export function expectBack(rounds: Rounds, peer: string, nowMs: number, part: Joining): void {
  rounds.students.set(peer, {
    ...part,
    ...{
      connected: false,
      expected: true,
      done: false,
      finished: false,
      lagging: false,
      behind: false,
      strikes: 0,
    },
    // Whether it sent for the last round is not known, nor of matter: it may ask again.
    ...{ round: rounds.lastClosed, resumesAt: 0, busy: true, busyAtMs: nowMs },
    replay: { gap: 0, rounds: 0 },
  });
}

/**
 * `away`: its connection ended, and it has its place; `left`: it has given that up, and may yet come back; `finished`: all
 * of its work is done.
 */
export type Leaving = 'away' | 'left' | 'finished';

/** A student is no longer there: nobody waits for it, unless it has its place and all are waited for. */
export function leave(rounds: Rounds, peer: string, how: Leaving): RoundEffect[] {
  const student = rounds.students.get(peer);
  if (!student) return [];
  student.connected = false;
  student.done ||= how !== 'away';
  student.finished ||= how === 'finished';
  student.expected = rounds.options.quorum === 'all' && !student.done;
  return settleAll(rounds);
}

/**
 * Whether a student may have the answer again that was made for it in a round that is closed. One that is behind takes its
 * rounds again for as long as it comes nearer to the others: one that never would is sent ahead, to teach them again.
 */
export function recalls(rounds: Rounds, peer: string, round: number): boolean {
  const student = rounds.students.get(peer);
  if (!student || round > rounds.lastClosed || rounds.open.has(round)) return false;
  if (!student.behind) return round <= student.round;
  const { replay } = student;
  replay.rounds += 1;
  const gained = replay.gap - (rounds.lastClosed - round);
  return replay.rounds <= REPLAYS_AT_LEAST || gained >= replay.rounds * LEAST_GAIN;
}

/** A sign of life between rounds. `busy`: in a phase without exchange, such as an evaluation. */
export function heard(rounds: Rounds, peer: string, busy: boolean, nowMs: number): void {
  const student = rounds.students.get(peer);
  if (!student) return;
  // A phase that ends with this sign of life has lasted until now.
  if (busy || student.busy) student.busyAtMs = nowMs;
  student.busy = busy || student.round < 0;
}

/** A student's logits for one round. Every contribution is answered by exactly one effect, now or when its round closes. */
export function contribute(rounds: Rounds, contribution: Contribution, nowMs: number): RoundEffect[] {
  const { peer, round, batch, view, payload } = contribution;
  const student = rounds.students.get(peer);
  if (!student) throw new Error(`internal: logits from "${peer}", who never joined`);
  student.busy = false;
  const existing = rounds.open.get(round);
  if (!existing && round <= rounds.lastClosed) return [answerLate(rounds, student, peer, round, nowMs)];
  const excess = excessOf(rounds, peer, round);
  if (excess !== null) return reject(rounds, peer, round, excess);

  student.round = Math.max(student.round, round);
  Object.assign(student, { lagging: false, behind: false });
  if (existing && (existing.view !== view || !sameBytes(existing.batch, batch))) {
    const refusal = refuse(
      peer,
      round,
      'these rows belong to other samples, or another view, than the round',
    );
    return [refusal, ...settleAll(rounds)];
  }
  const open: OpenRound = existing ?? { batch, view, openedAtMs: null, contributions: new Map() };
  rounds.open.set(round, open);
  if (student.learns) open.openedAtMs ??= nowMs;
  const repeated = open.contributions.has(peer);
  if (!repeated) open.contributions.set(peer, payload);
  student.strikes = Math.max(0, student.strikes - 1);
  return [...(repeated ? [{ type: 'repeated' as const, peer, round }] : []), ...settleAll(rounds)];
}

/** Why a peer may not have one more round open, so that no peer can fill the memory or leave the others far behind. */
function excessOf({ open, lastClosed, options }: Rounds, peer: string, round: number): string | null {
  const frontier = Math.max(lastClosed, options.firstRound - 1, ...open.keys());
  if (round > frontier + MAX_LEAD) {
    return `round ${round} is more than ${MAX_LEAD} ahead of the others, who are at round ${frontier + 1}`;
  }
  const unanswered = [...open].filter(
    ([each, { contributions }]) => each !== round && contributions.has(peer),
  );
  if (unanswered.length < MAX_UNANSWERED) return null;
  return `this peer has ${unanswered.length} rounds without an answer already`;
}

/** Logits that cannot be used, such as non-finite ones: the student is answered, and not awaited in this round. */
export function reject(rounds: Rounds, peer: string, round: number, detail: string): RoundEffect[] {
  const student = rounds.students.get(peer);
  if (!student) return [];
  Object.assign(student, { busy: false, round: Math.max(student.round, round) });
  return [refuse(peer, round, detail), ...settleAll(rounds)];
}

/** Lets deadlines pass: call it at the time that {@link nextDeadlineMs} names. */
export function tick(rounds: Rounds, nowMs: number): RoundEffect[] {
  for (const [round, open] of rounds.open) {
    for (const [, student] of awaited(rounds, round)) {
      if (deadlineMs(rounds, open, student) > nowMs) continue;
      student.lagging = true;
      student.strikes += 1;
    }
  }
  return settleAll(rounds);
}

/** Closes every open round that nobody is awaited for, oldest first. */
function settleAll(rounds: Rounds): RoundEffect[] {
  return [...rounds.open.keys()]
    .sort((a, b) => a - b)
    .filter((round) =>
      rounds.open.get(round)!.openedAtMs === null
        ? !studentMayCome(rounds, round)
        : awaited(rounds, round).length === 0,
    )
    .flatMap((round) => close(rounds, round));
}

function answerLate(
  rounds: Rounds,
  student: Student,
  peer: string,
  round: number,
  nowMs: number,
): RoundEffect {
  const ahead = [...rounds.open.keys()].filter((open) => open > round);
  const nextRound = ahead.length > 0 ? Math.min(...ahead) : rounds.lastClosed + 1;
  // The round that it is sent to may be open for long: its own time begins now.
  Object.assign(student, { resumesAt: nextRound, busyAtMs: nowMs });
  student.round = Math.max(student.round, round);
  student.lagging = student.strikes >= MAX_STRIKES;
  student.behind = false;
  if (!student.learns) return { type: 'advance', peer, round, unused: 'late', nextRound };
  const detail = `round ${round} is closed; the others are at round ${nextRound}`;
  return { type: 'noTarget', peer, round, reason: 'late', detail, nextRound };
}

function refuse(peer: string, round: number, detail: string): RoundEffect {
  return { type: 'noTarget', peer, round, reason: 'refused', detail };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
