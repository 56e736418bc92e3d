import { methodLabel } from '../src/config/methods.ts';
import type { RunStatus } from '../src/results/types.ts';
import { byName } from './members.ts';
import type { Run } from './runState.ts';
import { quarantineOf } from './suspects/suspects.ts';
import { waitsOf, whatIsWaitedFor } from './waits.ts';

/** How the run goes: what `/status.json` serves and the launcher shows. */
export function statusOf(run: Run, nowMs: number, startedAtMs: number): RunStatus {
  const members = byName(run.members);
  const { noTeachers, quorum, late, refused } = run.missed;
  return {
    run: run.options.id,
    method: methodLabel(run.options.settings.distill),
    phase: run.phase,
    waitingFor: whatIsWaitedFor(run, nowMs),
    waits: waitsOf(run, nowMs, startedAtMs).map(({ sentence, ...wait }) => wait),
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
      quarantined: quarantineOf(run.suspects, member.name),
    })),
    rounds: { committed: run.committed, missed: noTeachers + quorum + late + refused },
    seconds: (nowMs - startedAtMs) / 1000,
  };
}

/** Why the run takes no peers and does not train; `null` while it does one of them. */
export function whyNotReady({ phase, drainingUntilMs }: Run): string | null {
  if (phase === 'finished') return 'the run is over';
  return drainingUntilMs === null ? null : 'the run is being stopped';
}
