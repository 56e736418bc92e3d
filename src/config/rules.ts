import type { z } from 'zod';
import { messageOf } from '../errors.ts';
import { isModelPath, parseModelName } from '../models/names.ts';
import { suggestion } from '../names.ts';
import { NAME_LENGTH } from '../protocol/messages.ts';
import { asksPeers, generationsOf, learnsFromCopies, METHODS, methodLabel, methodsIn } from './methods.ts';
import { type PeerGroup, peerNames } from './peers.ts';

/** As many as a `start` message can name. */
const MAX_PEERS = 1024;

export type Refuse = (path: PropertyKey[], message: string) => void;

/** A rule about several values, as a refinement; it is asked only when each of them is valid by itself. */
export function rule<T>(
  check: (value: T, refuse: Refuse) => void,
): (value: T, context: z.core.$RefinementCtx<T>) => void {
  return (value, context) => {
    if (context.issues.length > 0) return;
    check(value, (path, message) => context.addIssue({ code: 'custom', path, message }));
  };
}

export function batchFits(data: { batchSize: number; trainSize?: number }, refuse: Refuse): void {
  const { batchSize, trainSize } = data;
  if (trainSize === undefined || batchSize <= trainSize) return;
  refuse(['batchSize'], `expected at most data.trainSize (${trainSize}), got ${batchSize}`);
}

/** Milestones are there exactly where something falls at them, in order, and before the end. */
export function milestonesSuitSchedules(
  training: {
    epochs: number;
    schedule: string;
    milestones?: readonly number[];
    decayFactor?: number;
    optimizer: { weightDecaySchedule: string };
  },
  refuse: Refuse,
): void {
  const { epochs, schedule, milestones = [], decayFactor, optimizer } = training;
  const falling = [
    ...(schedule === 'step' ? ['training.schedule step'] : []),
    ...(optimizer.weightDecaySchedule === 'milestones' ? ['training.optimizer.weightDecaySchedule'] : []),
  ];
  if (falling.length > 0 && milestones.length === 0)
    refuse(['milestones'], `expected at least one for ${falling.join(' and ')}`);
  if (falling.length === 0 && training.milestones)
    refuse(['milestones'], `expected none with training.schedule ${schedule}, where nothing falls at them`);
  if (decayFactor !== undefined && schedule !== 'step')
    refuse(['decayFactor'], `belongs to training.schedule step, and the schedule is ${schedule}`);
  for (const [i, epoch] of milestones.entries()) {
    const least = (milestones[i - 1] ?? 0) + 1;
    if (epoch < least || epoch >= epochs)
      refuse(['milestones', i], `expected an epoch from ${least} to ${epochs - 1}, got ${epoch}`);
  }
}

/** A module's path is looked at by the peer that loads it: it is a path on that peer's machine. */
export function modelKnown(model: string, refuse: Refuse): void {
  if (isModelPath(model)) return;
  try {
    parseModelName(model);
  } catch (error) {
    refuse([], messageOf(error));
  }
}

/** A module's path is looked at by whoever loads it. */
export function methodKnown(method: string, refuse: Refuse): void {
  if (isModelPath(method) || METHODS.includes(method)) return;
  refuse([], `unknown method "${method}"${suggestion(method, METHODS)} Known: ${METHODS.join(', ')}.`);
}

/** A single method, or a list of them. */
export function oneWayToSayIt(
  distill: { methods?: readonly unknown[]; method: string; kdWeight?: number; options: object },
  refuse: Refuse,
): void {
  if (!distill.methods) return;
  const set = [
    ...(distill.kdWeight === undefined ? [] : ['kdWeight']),
    ...(Object.keys(distill.options).length === 0 ? [] : ['options']),
  ];
  for (const key of set)
    refuse([key], 'belongs to a single method; give it in each entry of distill.methods');
}

/** Each peer has a name of its own, which the wire has room for, and a start message for all of them. */
export function namesSuit(peers: readonly PeerGroup[], refuse: Refuse): void {
  const total = peers.reduce((sum, { count }) => sum + count, 0);
  if (total > MAX_PEERS) {
    refuse([], `expected at most ${MAX_PEERS} peers in all, got ${total}`);
    return;
  }
  const names = peerNames({ peers }).map(({ name }) => name);
  for (const name of repeated(names)) refuse([], `two peers have the name "${name}"`);
  for (const [i, { name = '', count }] of peers.entries()) {
    const most = NAME_LENGTH - (count === 1 ? 0 : `-${count}`.length);
    if (name.length > most)
      refuse(
        [i, 'name'],
        `expected at most ${most} characters, to be numbered up to ${count}, got ${name.length}`,
      );
  }
}

export function methodsDiffer(methods: readonly string[], refuse: Refuse): void {
  for (const method of repeated(methods)) refuse([], `"${method}" is there twice`);
}

/** A round goes on without a silent peer before that one loses its place. With the quorum all, only the second happens. */
export function waitsInOrder(
  { mode, quorum, maxWait, lease }: { mode: string; quorum: number | 'all'; maxWait: number; lease: number },
  refuse: Refuse,
): void {
  if (maxWait < lease || (quorum === 'all' && mode === 'lockstep')) return;
  const message = `expected less than exchange.lease (${lease} ms), as a round goes on without a silent peer before that loses its place, got ${maxWait} ms`;
  refuse(['maxWait'], message);
}

interface Whole {
  readonly data: { readonly view: 'shared' | 'own' };
  readonly distill: Parameters<typeof generationsOf>[0];
  readonly exchange: {
    readonly quorum: number | 'all';
    readonly mode: string;
    readonly ensemble?: string;
  };
  readonly peers: readonly PeerGroup[];
  readonly compare: readonly string[];
}

/** The methods differ from each other, and there are as many peers as they and the quorum need. */
export function methodsSuitPeers({ distill, exchange, peers, compare }: Whole, refuse: Refuse): void {
  const method = methodLabel(distill);
  const again = compare.indexOf(method);
  if (again >= 0) refuse(['compare', again], `"${method}" is distill.method already`);

  const count = (role: string): number =>
    peers.reduce((sum, peer) => sum + (peer.role === role ? peer.count : 0), 0);
  const teachers = count('teacher') || count('student') - 1;
  const taught = methodsOf({ distill, compare }).filter(({ method }) => asksPeers(method));
  if (teachers === 0) {
    for (const { method, path } of taught) {
      const message = `"${method}" learns from other peers, and there is only one; use "self-ema", or add a peer`;
      refuse(path, message);
    }
  } else if (taught.length > 0 && exchange.quorum !== 'all' && exchange.quorum > teachers) {
    const message = `expected at most ${teachers}, the number of each student's teachers, got ${exchange.quorum}`;
    refuse(['exchange', 'quorum'], message);
  }
}

/** Every method of an experiment, and the key that it stands at. */
function methodsOf({
  distill,
  compare,
}: Pick<Whole, 'distill' | 'compare'>): { method: string; path: PropertyKey[] }[] {
  const main = distill.methods?.map(({ name }, i) => ({
    method: name,
    path: ['distill', 'methods', i, 'name'],
  }));
  return [
    ...(main ?? [{ method: distill.method, path: ['distill', 'method'] }]),
    ...compare.map((method, i) => ({ method, path: ['compare', i] })),
  ];
}

/** Where weights are exchanged, students learn from copies of each other, which can say less than the others themselves. */
export function copiesSuffice(experiment: Whole, refuse: Refuse): void {
  const { mode, ensemble = 'mean-probabilities' } = experiment.exchange;
  if (mode !== 'checkpoint') return;
  for (const { method, path } of methodsOf(experiment)) {
    if (learnsFromCopies(method)) continue;
    const message = `"${method}" needs more of other peers than copies of them give, the mean of their probabilities: use exchange.mode lockstep`;
    refuse(path, message);
  }
  if (ensemble !== 'mean-probabilities')
    refuse(
      ['exchange', 'ensemble'],
      `expected mean-probabilities with exchange.mode checkpoint, got ${ensemble}`,
    );
}

/** Teachers see what students see, and there is somebody to teach. */
export function teachersCanTeach({ data, distill, exchange, peers, compare }: Whole, refuse: Refuse): void {
  for (const [i, { role, weights }] of peers.entries()) {
    if (role === 'student' && weights !== undefined && generationsOf(distill) === 0)
      refuse(['peers', i, 'weights'], "are a teacher's: set its role");
  }
  if (!peers.some(({ role }) => role === 'teacher')) return;
  if (!peers.some(({ role }) => role === 'student'))
    refuse(['peers'], 'expected at least one student, got teachers only');
  if (data.view === 'own')
    refuse(['data', 'view'], 'expected shared with a teacher, who has to see what students see');
  if (exchange.mode === 'checkpoint') {
    refuse(['exchange', 'mode'], 'expected lockstep with a teacher, whose weights never change');
  }
  const methods = [...methodsIn(distill), ...compare];
  if (!methods.some(asksPeers))
    refuse(['peers'], `there is a teacher, but ${methods.join(' and ')} ask for none`);
}

/** A burn-in as long as the training would leave nothing to compare. Without a size, only the data tells the steps. */
export function burnInEnds(
  experiment: {
    data: { trainSize?: number; batchSize: number };
    training: { epochs: number };
    distill: { method: string; methods?: readonly { readonly name: string }[]; burnInSteps: number };
    compare: readonly string[];
  },
  refuse: Refuse,
): void {
  const { data, training, distill, compare } = experiment;
  const taught = [...methodsIn(distill), ...compare].some((method) => method !== 'independent');
  if (!taught || data.trainSize === undefined) return;
  const steps = training.epochs * Math.floor(data.trainSize / data.batchSize);
  if (distill.burnInSteps < steps) return;
  const message = `expected less than the ${steps} steps of this training, or nobody would teach, got ${distill.burnInSteps}`;
  refuse(['distill', 'burnInSteps'], message);
}

function repeated(values: readonly string[]): Set<string> {
  const seen = new Set<string>();
  return new Set(values.filter((value) => seen.size === seen.add(value).size));
}
