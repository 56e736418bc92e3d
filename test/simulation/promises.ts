import { nextDeadlineMs, waitingFor } from '../../coordinator/awaiting.ts';
import type { OpenRound } from '../../coordinator/roundState.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import type { Answer } from '../../peer/answer.ts';
import { float32 } from '../../src/codec/float32.ts';
import { targets } from '../../src/ensemble/targets.ts';
import { decodeCoordinatorMessage } from '../../src/protocol/wire.ts';
import type { Observer } from './coordinator.ts';
import type { Disk } from './disk.ts';
import { WANTS } from './peer.ts';
import type { World } from './world.ts';

/** What is promised of a run, checked on everything that happens in it. */
export interface Promises extends Observer {
  /** What was broken, in the order in which it was seen. */
  readonly broken: readonly string[];
  /** Whether a coordinator came back without all that it had counted, as its disk was full: of that nothing is promised. */
  readonly forgot: boolean;
  /** A peer got an answer. */
  answered(peer: string, incarnation: string, round: number, answer: Answer): void;
  /** A coordinator is there again. */
  restarted(run: Run): void;
  /** Something happened, and time has passed. */
  looked(run: Run): void;
}

/** Of logits in the order of their peers' names. */
const meanOf = (logits: readonly Float32Array[], includeSelf: boolean) =>
  targets('mean-logits', logits, { rows: 1, classes: 2, temperature: WANTS.temperature, includeSelf });

export function createPromises(world: World, disk: Disk): Promises {
  const broken: string[] = [];
  const expect = (promise: string, holds: boolean, what: () => string): void => {
    if (!holds && broken.length < 20) broken.push(`${Math.round(world.now())} ms, ${promise}: ${what()}`);
  };
  /** Rounds that were closed with a target, over all lives of the coordinator. */
  const committed = new Set<number>();
  let missed = 0;
  /** The last round that each life of a peer was answered, and the highest of all. */
  const lastOf = new Map<string, number>();
  let highest = -1;
  let forgot = false;
  let overdueSinceMs: number | null = null;
  let opened = new Map<number, OpenRound>();

  const judge = (
    run: Run,
    round: number,
    { contributions }: OpenRound,
    effects: readonly RunEffect[],
  ): void => {
    const names = [...contributions.keys()].sort();
    const part = (peer: string) => run.rounds.students.get(peer)!;
    const teachers = names.filter((peer) => part(peer).teaches);
    const needed = run.rounds.options.quorum === 'all' ? 1 : run.rounds.options.quorum;
    const othersOf = (peer: string): string[] => teachers.filter((other) => other !== peer);
    const learners = names.filter((peer) => part(peer).learns && othersOf(peer).length >= needed);
    if (teachers.length >= needed) judgeAbsent(run, round, contributions, teachers);
    if (learners.length === 0) return;
    expect('P3 uniqueness', forgot || !committed.has(round), () => `round ${round} was committed twice`);
    committed.add(round);
    const logits = teachers.map((name) => contributions.get(name)!.logits!);
    for (const peer of learners) {
      const connection = run.connections.get(peer);
      if (connection === undefined) continue;
      const sent = effects.flatMap((effect) =>
        effect.type === 'send' &&
        effect.connection === connection &&
        effect.message.type === 'target' &&
        effect.message.round === round
          ? [effect.message.logits!.data]
          : [],
      );
      const own = teachers.indexOf(peer);
      const expected = own < 0 ? meanOf(logits, true)[0]! : meanOf(logits, false)[own]!;
      const holds = sent.length === 1 && String(sent[0]) === String(float32.encode(expected, 1, 2));
      expect('P5 determinism', holds, () => {
        return `the target of ${peer} in round ${round} is not the mean of ${othersOf(peer)}, once`;
      });
    }
  };

  /** Who is away is to find the mean of all that taught when it asks. */
  const judgeAbsent = (
    run: Run,
    round: number,
    contributions: OpenRound['contributions'],
    teachers: readonly string[],
  ): void => {
    const logits = teachers.map((name) => contributions.get(name)!.logits!);
    const expected = String(float32.encode(meanOf(logits, true)[0]!, 1, 2));
    for (const [peer, { learns }] of run.rounds.students) {
      const frame = learns && !contributions.has(peer) ? disk.journal.recall(round, peer) : null;
      const message = frame && decodeCoordinatorMessage(frame);
      if (message?.type !== 'target') continue;
      expect('P5 determinism', String(message.logits!.data) === expected, () => {
        return `the target that ${peer} finds of round ${round} is not the mean of ${teachers}`;
      });
    }
  };

  return {
    broken,
    get forgot() {
      return forgot;
    },
    before(run) {
      // The rounds themselves: one that closes still holds what it was closed with.
      opened = new Map(run.rounds.open);
    },
    after(run, effects) {
      for (const effect of effects) {
        if (effect.type !== 'event' || effect.record.event !== 'missed') continue;
        const { peer, round, reason } = effect.record;
        expect('P3 uniqueness', !reason!.startsWith('refused'), () => {
          return `what ${peer} said about round ${round} was refused, though all that peers say is right`;
        });
        if (run.members.get(peer!)?.role === 'student') missed += 1;
      }
      for (const [round, open] of opened) if (!run.rounds.open.has(round)) judge(run, round, open, effects);
      if (forgot) return;
      const counted = Object.values(run.missed).reduce((sum, count) => sum + count, 0);
      expect('P9 honesty', run.committed === committed.size, () => {
        return `${run.committed} rounds are counted, and ${committed.size} were committed`;
      });
      expect(
        'P9 honesty',
        counted === missed,
        () => `${counted} misses are counted, and ${missed} were told`,
      );
    },
    answered(peer, incarnation, round, answer) {
      const last = lastOf.get(incarnation) ?? -1;
      expect('P4 ordering', round > last, () => `${peer} was answered round ${round} after round ${last}`);
      lastOf.set(incarnation, round);
      if (answer.kind === 'target') highest = Math.max(highest, round);
    },
    restarted(run) {
      forgot ||= disk.lossy;
      overdueSinceMs = null;
      expect('P6 durability', forgot || run.rounds.lastClosed >= highest, () => {
        return `round ${highest} was answered, and the coordinator is back at round ${run.rounds.lastClosed}`;
      });
    },
    looked(run) {
      const waiting = waitingFor(run.rounds);
      expect('P7 liveness', waiting?.peers.length !== 0, () => `round ${waiting!.round} waits for nobody`);
      // One that is awaited again may be late at once; that is seen to before anything else.
      const deadline = nextDeadlineMs(run.rounds);
      overdueSinceMs = deadline === null || deadline >= world.now() ? null : (overdueSinceMs ?? world.now());
      expect('P7 liveness', overdueSinceMs === null || world.now() - overdueSinceMs <= 1, () => {
        return `a round is ${world.now() - deadline!} ms over its time`;
      });
    },
  };
}
