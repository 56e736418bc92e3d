import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { perform, teachesIn } from './exchange.ts';
import type { Handed } from './handover.ts';
import { byName, type Member } from './members.ts';
import { join } from './rounds.ts';
import type { Run, RunEffect } from './runState.ts';
import { keep } from './snapshot.ts';

/** Lets those start whose weights have come, or will not. */
export function hand(run: Run, { effects, settled }: Handed, nowMs: number): RunEffect[] {
  return [...effects, ...(settled.length > 0 ? start(run, settled, nowMs) : [])];
}

/** Tells members that training starts, and lets them take part in the rounds. */
export function start(run: Run, members: readonly Member[], nowMs: number): RunEffect[] {
  const everyone = byName(run.members);
  const peers = everyone.map(({ name }) => name);
  const effects = members.flatMap((member): RunEffect[] => {
    const { name, role } = member;
    member.state = 'training';
    member.workedAtMs = nowMs;
    const teaches = teachesIn(run, member);
    const learns = role === 'student';
    // A teacher keeps nothing, and goes where the students are.
    const step = learns ? (member.ready?.step ?? firstStepOf(run, member)) : undefined;
    const settled = join(run.rounds, name, nowMs, { teaches, learns, step });
    const teachers = everyone
      .filter((other) => run.wants && learns && other.name !== name && teachesIn(run, other))
      .map((other) => ({ name: other.name, model: other.model, layers: layersOf(run, other) }));
    const connection = run.connections.get(name)!;
    const message: CoordinatorMessage = {
      type: 'start',
      peers,
      ...(step && { step }),
      ...(teachers.length > 0 && { teachers }),
      ...(run.wants && teaches && { wants: run.wants }),
      ...originOf(member),
    };
    return [{ type: 'send', connection, message }, ...perform(run, settled)];
  });
  keep(run);
  return effects;
}

/** Whether a student wants another one's weights: one that goes on with its own does not. */
export function wantsOthers({ wantsWeights, step }: MessageOf<PeerMessage, 'ready'>): boolean {
  return wantsWeights === true && step === undefined;
}

/** What one that wanted weights is told: whose it has, or why it has none. */
function originOf({ ready, startedFrom }: Member): Partial<MessageOf<CoordinatorMessage, 'start'>> {
  if (!ready || !wantsOthers(ready) || !startedFrom) return {};
  return startedFrom.peer === null ? { noWeights: startedFrom.reason } : { weights: startedFrom };
}

/**
 * Where a student begins that has no checkpoint: one that was in the run before takes its rounds again, a new one begins
 * where the others are, and so does one that has the weights of another one.
 */
function firstStepOf({ rounds, members }: Run, member: Member): number {
  const { name } = member;
  if (rounds.students.has(name) && !originOf(member).weights) return 0;
  const others = byName(members).filter((other) => other.state === 'training' && other.name !== name);
  return Math.max(rounds.lastClosed + 1, ...others.map(({ progress }) => progress?.step ?? 0));
}

/** What is told of a teacher's layers: nothing where no features are compared, as a frame has no room for those of many. */
function layersOf({ wants }: Run, { ready }: Member): Record<string, number[]> {
  return wants?.encodings.length ? (ready?.layers ?? {}) : {};
}
