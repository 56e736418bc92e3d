/** The words of a run's progress; see `progress.ts` for where they go. */
import { cut, decimal, duration, percent, rate } from '../results/format.ts';
import type { PeerStatus, RunStatus } from '../results/types.ts';

/** One training among those of a run: the method itself, then each under `compare`. */
export interface Part {
  /** 1-based. */
  readonly number: number;
  readonly of: number;
}

const BAR_WIDTH = 16;

/** Such as `1/2 dml: co-distilling, 420 rounds, 3 targets missed, about 1 min 5 s left`. */
export function formatHeading(status: RunStatus, part: Part, secondsLeft: number | null): string {
  const { committed, missed } = status.rounds;
  const facts = [
    phaseOf(status),
    ...(committed === 0 ? [] : [`${committed} rounds`]),
    ...(missed === 0 ? [] : [`${missed} targets missed`]),
    ...(secondsLeft === null ? [] : [`about ${duration(secondsLeft)} left`]),
  ];
  return `${part.number}/${part.of} ${status.method}: ${facts.join(', ')}`;
}

function phaseOf({ phase, method, waitingFor, peers }: RunStatus): string {
  if (waitingFor !== null) return waitingFor;
  if (phase !== 'training') return phase;
  if (method === 'independent') return 'each peer trains alone';
  if (peers.some(({ role }) => role === 'teacher')) return 'learning from a teacher';
  return method.startsWith('self-') ? 'each peer teaches itself' : 'co-distilling';
}

/** What the peers compute with, and why with nothing better: one line for all that have the same; none until they know. */
export function backendLines({ phase, peers }: RunStatus): string[] {
  if (phase === 'waiting') return [];
  const names = new Map<string, string[]>();
  for (const { name, backend, device, refusedBackends } of peers) {
    if (refusedBackends === null) continue;
    const refused = refusedBackends.map((each) => `${each.backend}: ${each.reason}`);
    const text = [`${backend} (${device})`, ...(refused.length > 0 ? [`not ${refused.join('; not ')}`] : [])];
    const line = text.join('; ');
    names.set(line, [...(names.get(line) ?? []), name]);
  }
  return [...names].map(([line, its]) => `${its.join(', ')}: ${line}`);
}

/** One line about a peer, for output that is not a terminal. */
export function formatLine(peer: PeerStatus, secondsLeft: number | null): string {
  const facts = [
    `${peer.name} (${peer.model}) step ${peer.step}/${peer.steps}`,
    ...stateOf(peer),
    `loss ${decimal(peer.loss, 3)}`,
    `test ${percent(peer.testAccuracy)}`,
    `${rate(peer.imagesPerSecond)} img/s`,
    `waiting ${percent(peer.waitFraction)}`,
    ...(secondsLeft === null ? [] : [`about ${duration(secondsLeft)} left`]),
  ];
  return facts.join(', ');
}

/** One evaluation, for output that is not a terminal. */
export function formatEvaluation(peer: PeerStatus): string {
  return `${peer.name} (${peer.model}) evaluated by step ${peer.step}/${peer.steps}: test accuracy ${percent(peer.testAccuracy)}`;
}

/** One line with a bar about a peer, its columns aligned with those of the other peers. */
export function formatBar(
  peer: PeerStatus,
  peers: readonly PeerStatus[],
  secondsLeft: number | null,
): string {
  const width = (value: (peer: PeerStatus) => string): number =>
    Math.max(...peers.map((each) => value(each).length));
  const column = (value: (peer: PeerStatus) => string): string => value(peer).padEnd(width(value));
  const filled =
    peer.steps === 0 ? 0 : Math.round((BAR_WIDTH * Math.min(peer.step, peer.steps)) / peer.steps);
  return [
    column(({ name }) => cut(name, 14)),
    column(({ model }) => cut(model, 10)),
    '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled),
    `${peer.step}/${peer.steps}`.padStart(width(({ step, steps }) => `${step}/${steps}`)),
    `loss ${decimal(peer.loss, 2)}`,
    `test ${percent(peer.testAccuracy).padStart(6)}`,
    `${rate(peer.imagesPerSecond).padStart(5)} img/s`,
    `wait ${`${Math.round(peer.waitFraction * 100)}`.padStart(2)} %`,
    ...stateOf(peer),
    ...(secondsLeft === null ? [] : [duration(secondsLeft)]),
  ].join(' ');
}

/** What is out of the ordinary about a peer. */
function stateOf({ role, state, connected, collapsed, quarantined }: PeerStatus): string[] {
  if (state === 'lost') return ['LOST'];
  const quarantine = quarantined === null ? [] : ['QUARANTINED'];
  if (role === 'teacher') return quarantined === null ? ['teaching'] : quarantine;
  return [
    ...(state === 'joining' || state === 'done' ? [state] : []),
    ...(connected || state === 'done' ? [] : ['disconnected']),
    ...(collapsed === null ? [] : ['COLLAPSED']),
    ...quarantine,
  ];
}
