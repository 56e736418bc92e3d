import { beforeAll, describe, expect, it } from 'vitest';
import type { Payload } from '../../../coordinator/roundState.ts';
import { inspect, type Suspects } from '../../../coordinator/suspects/suspects.ts';
import { loadBackend } from '../../../src/backend/select.ts';
import { batchIds } from '../../../src/datasets/sampler.ts';
import { batchDigest } from '../../../src/protocol/batchDigest.ts';
import { decodeCoordinatorMessage } from '../../../src/protocol/wire.ts';
import { LIES, type LieName } from '../lies.ts';
import { type Heard, type LocalResult, trainingSettings, trainTogether } from '../localRun.ts';

/** Three in ten labels are wrong, and students listen to each other from their first step on. */
const SETTINGS = trainingSettings({ data: { trainSize: 512, testSize: 100 }, training: { epochs: 12 } });
const { seed, data } = SETTINGS;
const STEPS = 96;
const PEERS = [
  { name: 'lenet5-1', model: 'lenet5' },
  { name: 'mlp-1', model: 'mlp' },
  { name: 'mlp-2', model: 'mlp' },
];

let honest: LocalResult;

beforeAll(async () => {
  await loadBackend('wasm');
  honest = await trainTogether(PEERS, SETTINGS);
});

const payloadOf = (logits: Float32Array): Payload => ({ logits, encodings: [], labels: null });

/** What was heard of each round, by name. */
function roundsOf(heard: readonly Heard[]): Heard[][] {
  return Array.from({ length: STEPS }, (_, step) =>
    heard.filter((each) => each.step === step).toSorted((a, b) => (a.peer < b.peer ? -1 : 1)),
  );
}

/** Who enters or leaves quarantine in these rounds, as `12 quarantined a constant`. */
function verdictsOf(rounds: readonly (readonly Heard[])[], rows: number = data.batchSize): string[] {
  const suspects: Suspects = new Map();
  return rounds.flatMap((round, step) => {
    const contributions = round.map(({ peer, logits }) => [peer, payloadOf(logits)] as const);
    const verdicts = inspect(suspects, { batch: round[0]!.batch, rows, contributions });
    return verdicts.map(({ event, peer, reason }) => `${step} ${event} ${peer} ${reason.split(':')[0]}`);
  });
}

/** The rounds in which a lie is found at the latest: students that have not learned yet agree on little. */
const LATEST: Readonly<Record<LieName, number>> = {
  ...{ constant: 5, replayed: 4, 'one-hot': 20, 'one-hot at random': 20, permuted: 60 },
};

describe('in a training of three students under label noise', () => {
  it('nobody who is honest is ever in quarantine, and each round has its target', () => {
    expect(honest.heard).toHaveLength(3 * STEPS);
    expect(honest.events).toEqual([]);
    expect(honest.run.committed).toBe(STEPS);
    for (const { accuracy } of honest.evaluations.values()) expect(accuracy).toBeGreaterThan(0.5);
  });

  it.each(Object.keys(LIES) as LieName[])('a fourth one that is %s is found, and nobody else is', (name) => {
    const lie = LIES[name]();
    const rounds = roundsOf(honest.heard).map((round, step) => {
      const own = round.find(({ peer }) => peer === 'mlp-2')!;
      return [...round, { ...own, peer: 'x', logits: lie(own.logits, step) }];
    });
    const verdicts = verdictsOf(rounds);
    expect(verdicts).toEqual([expect.stringContaining(`quarantined x ${name.split(' ')[0]}`)]);
    expect(Number.parseInt(verdicts[0]!, 10)).toBeLessThan(LATEST[name]);
  });

  it.each(['constant', 'replayed'] as const)('the only other one that is %s is found', (name) => {
    const lie = LIES[name]();
    const rounds = roundsOf(honest.heard).map(([lenet, mlp], step) => [
      lenet!,
      { ...mlp!, logits: lie(mlp!.logits, step) },
    ]);
    expect(verdictsOf(rounds)).toEqual([expect.stringContaining(`quarantined mlp-1 ${name}`)]);
  });

  it.each(['one-hot', 'permuted'] as const)('of two students, none is held to be %s', (name) => {
    const lie = LIES[name]();
    const rounds = roundsOf(honest.heard).map(([lenet, mlp], step) => [
      lenet!,
      { ...mlp!, logits: lie(mlp!.logits, step) },
    ]);
    expect(verdictsOf(rounds)).toEqual([]);
  });

  it('nobody is in quarantine for batches of four rows', () => {
    const rounds = roundsOf(honest.heard).flatMap((round) =>
      Array.from({ length: data.batchSize / 4 }, (_, part) =>
        round.map(({ logits, batch, ...rest }) => ({
          ...rest,
          batch: Uint8Array.from([...batch, part]),
          logits: logits.slice(40 * part, 40 * (part + 1)),
        })),
      ),
    );
    expect(verdictsOf(rounds, 4)).toEqual([]);
  });
});

describe('while students train', () => {
  const trainWith = (lie: LieName, names: readonly string[], epochs: number): Promise<LocalResult> => {
    const settings = trainingSettings({ data: { trainSize: 512, testSize: 100 }, training: { epochs } });
    const peers = names.map((name) => ({ name, model: 'mlp' }));
    return trainTogether([...peers, { name: 'x', model: 'mlp', lie: LIES[lie]() }], settings);
  };

  it('one that lies is found, and the others learn from each other alone from then on', async () => {
    const { events, run } = await trainWith('constant', ['a', 'b'], 1);
    expect(events).toEqual(['quarantined x 4 constant: predicts the same for every sample']);
    expect(run.committed).toBe(8);
    const told = Array.from({ length: 8 }, (_, round) =>
      decodeCoordinatorMessage(run.journal.recall(round, 'a')!),
    );
    expect(told.map((each) => (each.type === 'target' ? each.teachers : 0))).toEqual([
      ...[2, 2, 2, 2],
      ...[1, 1, 1, 1],
    ]);
  });

  it('and learn from the liar as well, and are the less certain for it, it is found', async () => {
    const { events } = await trainWith('permuted', ['a', 'b', 'c'], 8);
    expect(events).toEqual([expect.stringMatching(/^quarantined x \d+ permuted/)]);
  });
});

describe('frozen teachers', () => {
  /** What each of the students said of every sample in its last epoch, as a teacher's bank has it. */
  function bankOf(peer: string): Float32Array {
    const bank = new Float32Array(10 * data.trainSize!);
    for (const { step, logits } of honest.heard.filter((each) => each.peer === peer)) {
      for (const [row, id] of idsOf(step).entries())
        bank.set(logits.subarray(10 * row, 10 * row + 10), 10 * id);
    }
    return bank;
  }

  const idsOf = (step: number): Uint32Array =>
    batchIds({ seed, step, batchSize: data.batchSize, count: data.trainSize! });

  it('repeat what they say of a sample in every epoch, and are not held to replay it', () => {
    const banks = PEERS.map(({ name }) => [name, bankOf(name)] as const);
    const rounds = Array.from({ length: 10 * STEPS }, (_, step) =>
      banks.map(([peer, bank]): Heard => {
        const ids = idsOf(step);
        const logits = Float32Array.from(
          { length: 10 * ids.length },
          (_, i) => bank[10 * ids[Math.floor(i / 10)]! + (i % 10)]!,
        );
        return { peer, step, batch: batchDigest(ids), logits };
      }),
    );
    expect(verdictsOf(rounds)).toEqual([]);
    // The same batches all over again, as after a restart.
    expect(verdictsOf([...rounds.slice(0, 100), ...rounds.slice(0, 100)])).toEqual([]);
  });
});
