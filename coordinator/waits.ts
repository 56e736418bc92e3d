import { duration } from '../src/results/format.ts';
import type { WaitStatus } from '../src/results/types.ts';
import { nextDeadlineMs, waitingFor } from './awaiting.ts';
import { endsAtMs } from './handover.ts';
import { byName, type Member } from './members.ts';
import { workPatienceMs } from './patience.ts';
import { type Run, SLOW_START_LEASES } from './runState.ts';

/** A wait shorter than this is the ordinary pace of a round, and not worth a sentence. */
const NOTEWORTHY_MS = 1_000;

type Wait = WaitStatus & { readonly sentence: string };

/** For whom, since when, what next: a sentence, or `null` while nobody waits noticeably. */
export function whatIsWaitedFor(run: Run, nowMs: number): string | null {
  const sentences = waitsOf(run, nowMs, 0).map(({ sentence }) => sentence);
  return sentences.length === 0 ? null : sentences.join('; ');
}

/** All that the run waits for now. */
export function waitsOf(run: Run, nowMs: number, startedAtMs: number): Wait[] {
  if (run.phase === 'finished') return [];
  if (run.drainingUntilMs !== null) return [draining(run, run.drainingUntilMs, nowMs)];
  if (run.phase === 'waiting') return [gathering(run, nowMs, startedAtMs)];
  const members = byName(run.members);
  const students = members.filter(({ role }) => role === 'student');
  if (students.every(({ state }) => state === 'lost' || state === 'done')) return [deserted(students, nowMs)];
  return [
    ...round(run, nowMs),
    ...members.flatMap((member) => returning(run, member, nowMs)),
    ...weights(run, nowMs),
    ...end(run, members, nowMs),
  ].filter(({ seconds }) => seconds === null || seconds * 1000 >= NOTEWORTHY_MS);
}

function gathering(run: Run, nowMs: number, startedAtMs: number): Wait {
  const members = byName(run.members);
  const { places } = run.options;
  const missing = places.length - members.length;
  const loading = members.filter(({ state }) => state !== 'ready').map(({ name }) => name);
  const parts = [
    `${members.length} of ${places.length} peers are here`,
    ...(missing > 0 ? [`${missing} more to come`] : []),
    ...(loading.length > 0 ? [`${loading.join(', ')} loading`] : []),
  ];
  const sentence = `${parts.join('; ')}; training starts when all are ready`;
  const free = places.filter(({ name }) => !run.members.has(name)).map(({ name }) => name);
  return {
    ...{ kind: missing > 0 ? 'join' : 'load', seconds: (nowMs - startedAtMs) / 1000, sentence },
    peers: missing > 0 ? free.slice(0, missing) : loading,
  };
}

function deserted(students: readonly Member[], nowMs: number): Wait {
  const sinceMs = Math.max(...students.map((student) => student.sinceMs));
  return {
    ...{ kind: 'away', peers: students.map(({ name }) => name), seconds: (nowMs - sinceMs) / 1000 },
    sentence: 'all students have left; the run goes on as soon as one of them is back',
  };
}

/** The oldest round that students have come to, or one that only teachers have. */
function round(run: Run, nowMs: number): Wait[] {
  const waiting = waitingFor(run.rounds);
  if (!waiting) {
    const early = Math.min(...run.rounds.open.keys());
    if (early === Number.POSITIVE_INFINITY) return [];
    const sentence = `round ${early} is early: its teachers wait for the students to come that far`;
    const students = byName(run.members).filter(
      ({ role, state }) => role === 'student' && state === 'training',
    );
    return [{ kind: 'students', peers: students.map(({ name }) => name), seconds: null, sentence }];
  }
  if (waiting.peers.length === 0) return [];
  const deadline = nextDeadlineMs(run.rounds);
  const next =
    deadline === null
      ? 'the quorum is all, so the round stays open until then'
      : `the round goes on without in ${duration(Math.max(0, deadline - nowMs) / 1000)}`;
  const seconds = (nowMs - waiting.sinceMs) / 1000;
  const whom = waiting.peers.map((peer) => withDoing(run, peer)).join(', ');
  const sentence = `round ${waiting.round} has waited ${duration(seconds)} for ${whom}; ${next}`;
  return [{ kind: 'round', peers: waiting.peers, seconds, sentence }];
}

/** A peer with what keeps it from a round, as far as it has said so. */
function withDoing(run: Run, peer: string): string {
  const progress = run.members.get(peer)?.progress;
  if (progress?.phase === 'evaluating') return `${peer} (evaluating)`;
  if (!progress || progress.step >= run.options.settings.distill.burnInSteps) return peer;
  return `${peer} (in its burn-in, step ${progress.step})`;
}

/** A peer that is away, or back and not ready yet, while its place is kept. */
function returning(run: Run, { name, connected, state, sinceMs }: Member, nowMs: number): Wait[] {
  if (state === 'done' || state === 'lost' || (connected && state !== 'joining')) return [];
  const { lease } = run.options.settings.exchange;
  const seconds = (nowMs - sinceMs) / 1000;
  const allowedMs = connected ? SLOW_START_LEASES * lease : lease;
  const left = duration(Math.max(0, sinceMs + allowedMs - nowMs) / 1000);
  const sentence = connected
    ? `${name} is back and has loaded for ${duration(seconds)}; it has ${left} more to get ready`
    : `${name} has been away for ${duration(seconds)}; it loses its place in ${left}`;
  return [{ kind: connected ? 'load' : 'away', peers: [name], seconds, sentence }];
}

/** Students that are to begin with another one's weights wait for them. */
function weights(run: Run, nowMs: number): Wait[] {
  return [...run.handovers.open.values()].map((handover) => {
    const { newcomer, lender, bytes, whole, sinceMs } = handover;
    const seconds = (nowMs - sinceMs) / 1000;
    const left = duration(Math.max(0, endsAtMs(run, handover) - nowMs) / 1000);
    const share = whole ? ` (${Math.floor((100 * bytes) / whole.size)} % are here)` : '';
    const sentence = `${newcomer} has waited ${duration(seconds)} for the weights of ${lender}${share}; without them it starts with its own in ${left}`;
    return { kind: 'weights', peers: [lender], seconds, sentence };
  });
}

/** Students that are done wait for the others. */
function end(run: Run, members: readonly Member[], nowMs: number): Wait[] {
  const students = members.filter(({ role }) => role === 'student');
  const done = students.filter(({ state }) => state === 'done');
  const working = students.filter(({ state, connected }) => state === 'training' && connected);
  if (done.length === 0 || working.length === 0) return [];
  const sinceMs = Math.min(...done.map(({ workedAtMs }) => workedAtMs));
  const whom = working.map((member) => {
    const { name, progress, workedAtMs } = member;
    const leftMs = workedAtMs + workPatienceMs(run, member) - nowMs;
    const silent = nowMs - workedAtMs < run.options.settings.exchange.lease;
    const place = progress ? ` at step ${progress.step} of ${progress.steps}` : '';
    return `${name}${place}${silent ? '' : `, silent, lost in ${duration(Math.max(0, leftMs) / 1000)}`}`;
  });
  return [
    {
      ...{ kind: 'end', peers: working.map(({ name }) => name), seconds: (nowMs - sinceMs) / 1000 },
      sentence: `the end waits for ${whom.join(', ')}; the results are saved when all are done`,
    },
  ];
}

function draining(run: Run, untilMs: number, nowMs: number): Wait {
  const peers = byName(run.members)
    .filter(({ connected, state }) => connected && state !== 'done')
    .map(({ name }) => name);
  const left = duration(Math.max(0, untilMs - nowMs) / 1000);
  const sentence = `stopping: ${peers.join(', ') || 'nobody'} may hand in results for ${left}; then they are saved`;
  return { kind: 'drain', peers, seconds: null, sentence };
}
