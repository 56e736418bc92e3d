import { methodLabel } from '../src/config/methods.ts';
import { duration } from '../src/results/format.ts';
import type { RunStatus } from '../src/results/types.ts';
import { byName } from './members.ts';
import { nextDeadlineMs, waitingFor } from './rounds.ts';
import type { Run } from './runState.ts';

/** A wait shorter than this is the ordinary pace of a round, and not worth a sentence. */
const NOTEWORTHY_MS = 1_000;

/** How the run goes: what `/status.json` serves and the launcher shows. */
export function statusOf(run: Run, nowMs: number, startedAtMs: number): RunStatus {
  const members = byName(run.members);
  const { noTeachers, quorum, late, refused } = run.missed;
  return {
    run: run.options.id,
    method: methodLabel(run.options.settings.distill),
    phase: run.phase,
    waitingFor: whatIsWaitedFor(run, nowMs),
    peers: members.map(({ progress, evaluation, ready, ...member }) => ({
      name: member.name,
      role: member.role,
      model: member.model,
      backend: member.backend,
      device: member.device,
      refusedBackends: ready && (ready.refused ?? []),
      ...(member.token !== null && { token: member.token }),
      ...(run.keys.has(member.name) && { key: run.keys.get(member.name)! }),
      connected: member.connected,
      state: member.state,
      step: progress?.step ?? 0,
      steps: progress?.steps ?? 0,
      loss: progress?.loss ?? null,
      accuracy: progress?.accuracy ?? null,
      testAccuracy: evaluation?.accuracy ?? null,
      imagesPerSecond: progress?.imagesPerSecond ?? 0,
      waitFraction: progress?.waitFraction ?? 0,
      collapsed: member.collapsed,
    })),
    rounds: { committed: run.committed, missed: noTeachers + quorum + late + refused },
    seconds: (nowMs - startedAtMs) / 1000,
  };
}

/** For whom, since when, what next: a sentence, or `null` while nobody waits noticeably. */
export function whatIsWaitedFor(run: Run, nowMs: number): string | null {
  if (run.phase === 'finished') return null;
  if (run.phase === 'waiting') {
    const members = byName(run.members);
    const { places } = run.options;
    const missing = places.length - members.length;
    const loading = members.filter(({ state }) => state !== 'ready').map(({ name }) => name);
    const parts = [
      `${members.length} of ${places.length} peers are here`,
      ...(missing > 0 ? [`${missing} more to come`] : []),
      ...(loading.length > 0 ? [`${loading.join(', ')} loading`] : []),
    ];
    return `${parts.join('; ')}; training starts when all are ready`;
  }
  const students = byName(run.members).filter(({ role }) => role === 'student');
  if (students.every(({ state }) => state === 'lost' || state === 'done')) {
    return 'all students have left; the run goes on as soon as one of them is back';
  }
  const waiting = waitingFor(run.rounds);
  if (!waiting || waiting.peers.length === 0 || nowMs - waiting.sinceMs < NOTEWORTHY_MS) return null;
  const deadline = nextDeadlineMs(run.rounds);
  const next =
    deadline === null
      ? 'the quorum is all, so the round stays open until then'
      : `the round goes on without in ${duration(Math.max(0, deadline - nowMs) / 1000)}`;
  const since = duration((nowMs - waiting.sinceMs) / 1000);
  return `round ${waiting.round} has waited ${since} for ${waiting.peers.join(', ')}; ${next}`;
}
