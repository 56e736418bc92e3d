import { float32 } from '../../../src/codec/float32.ts';
import { hasNonFinite } from '../../../src/codec/index.ts';
import { createRandom } from '../../../src/random.ts';
import type { Drill } from '../drill.ts';

export const duplicate: Drill = {
  number: 16,
  title: 'a contribution that comes twice, the second time with other values',
  promises: ['P3'],
  criterion: 'counts once, the first one; answered once while the round is open',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const [a, b, c] = await stage.cast(coordinator);
    for (let round = 0; round < 20; round++) {
      a!.contribute(round);
      const other = a!.contribution(round + 1_000).logits;
      a!.contribute(round, { ...(other && { logits: other }) }, false);
      await a!.link.settled();
      await Promise.all([a!.answer(round), b!.exchange(round), c!.exchange(round)]);
    }
    const answers = stage.history.records.filter(
      (record) => record.kind === 'received' && record.peer === a!.name && record.type === 'target',
    ).length;
    return { passed: answers === 20, measured: `${answers} answers for 40 contributions to 20 rounds` };
  },
};

export const late: Drill = {
  number: 17,
  title: 'a contribution that comes when its round is closed',
  promises: ['P2', 'P4'],
  criterion: 'told the round to go on with; the next contribution counts',
  async run(stage) {
    const coordinator = await stage.coordinator({ maxWait: '300ms' });
    const [a, b, c] = await stage.cast(coordinator);
    await c!.link.settled();
    c!.progress();
    await Promise.all([a!, b!, c!].map((peer) => peer.exchange(0)));
    await Promise.all([a!.exchange(1), b!.exchange(1)]);
    const told = await c!.exchange(1);
    const next = (told.type === 'noTarget' && told.nextRound) || 0;
    const answers = await Promise.all([a!, b!, c!].map((peer) => peer.exchange(next)));
    const counted = answers.every((answer) => answer.type === 'target' && answer.teachers === 2);
    return {
      passed: told.type === 'noTarget' && told.reason === 'late' && next === 2 && counted,
      measured: `told round ${next}, and counted in it: ${counted ? 'one more round trip' : 'no'}`,
    };
  },
};

/** Rounds ahead of everybody else. */
const AHEAD = 200;

export const ahead: Drill = {
  number: 18,
  title: `a peer that sends ${AHEAD} rounds nobody else is at, in no order`,
  promises: ['P2'],
  criterion: 'the others are taught as if it were away, in less than 100 ms a round',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const [a, b, c] = await stage.cast(coordinator);
    await Promise.all([a!, b!, c!].map((peer) => peer.exchange(0)));
    stage.fault('runs ahead', c!.name);
    const random = createRandom(stage.seed, 'ahead');
    const rounds = Array.from({ length: AHEAD }, (_, i) => 1_000 + i).sort(() => random.uniform() - 0.5);
    for (const round of rounds) if (c!.isOpen()) c!.contribute(round, {}, false);
    await c!.link.settled();
    const slowest: number[] = [];
    for (let round = 1; round < 30; round++) {
      const startedAt = performance.now();
      const answers = await Promise.all([a!.exchange(round), b!.exchange(round)]);
      slowest.push(performance.now() - startedAt);
      if (answers.some((answer) => answer.type !== 'target'))
        return { passed: false, measured: `no target in round ${round}` };
    }
    const most = Math.max(...slowest);
    return { passed: most < 100, measured: `the slowest of 29 rounds took ${Math.round(most)} ms` };
  },
};

/** Each with values that no honest peer sends. */
const POISONS: readonly (readonly [what: string, value: number])[] = [
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['minus infinity', Number.NEGATIVE_INFINITY],
];
/** Values that are strange, and numbers. */
const ODDITIES = [1e38, -1e38, 1e-45, 0];

export const poison: Drill = {
  number: 20,
  title: 'NaN, infinities, 1e38, denormals, rows of zeros',
  promises: ['P2', 'P5', 'P9'],
  criterion:
    'what is no number is refused, counted and in no target; all else gives finite targets; the scan costs at most 1.5 µs per 1,000 floats',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const { rows, classes } = coordinator.facts;
    const [a, b, c] = await stage.cast(coordinator);
    const tensor = (value: number) => ({
      codec: 'float32',
      shape: [rows, classes] as [number, number],
      data: float32.encode(new Float32Array(rows * classes).fill(value, 1), rows, classes),
    });
    let refused = 0;
    for (const [round, [, value]] of POISONS.entries()) {
      c!.contribute(round, { logits: tensor(value) }, false);
      const [own] = await Promise.all([c!.answer(round), a!.exchange(round), b!.exchange(round)]);
      if (own.type === 'noTarget' && own.reason === 'refused') refused += 1;
    }
    let finite = 0;
    for (const [i, value] of ODDITIES.entries()) {
      const round = POISONS.length + i;
      c!.contribute(round, { logits: tensor(value) });
      const answers = await Promise.all([c!.answer(round), a!.exchange(round), b!.exchange(round)]);
      const good = answers.every(
        (answer) =>
          answer.type === 'target' && !hasNonFinite(float32.decode(answer.logits!.data, rows, classes)),
      );
      if (good) finite += 1;
    }
    const counted = coordinator.events().filter(({ event }) => event === 'missed').length;
    const cost = scanCost();
    return {
      passed: refused === POISONS.length && finite === ODDITIES.length && counted === refused && cost <= 1.5,
      measured: `${refused} of ${POISONS.length} refused, ${finite} of ${ODDITIES.length} finite, ${cost.toFixed(2)} µs per 1,000 floats`,
    };
  },
};

/** Microseconds per 1,000 floats, the best of several times. */
function scanCost(): number {
  const values = new Float32Array(1_000_000).fill(0.5);
  const times = Array.from({ length: 20 }, () => {
    const startedAt = performance.now();
    hasNonFinite(values);
    return performance.now() - startedAt;
  });
  return Math.min(...times);
}

export const takeOver: Drill = {
  number: 24,
  title: 'a second process with the name of a peer',
  promises: ['P3', 'P8'],
  criterion: 'the newer one stays, the older one gets 4004, and no round counts both',
  async run(stage) {
    const coordinator = await stage.coordinator();
    const [a, b, c] = await stage.cast(coordinator);
    await Promise.all([a!, b!, c!].map((peer) => peer.play(0, 5)));
    a!.contribute(5);
    c!.contribute(5);
    await c!.link.settled();
    const second = stage.scripted(c!.name, coordinator);
    await second.join();
    await second.next('start');
    const { code } = await c!.closed();
    const [, , taken] = await Promise.all([a!.answer(5), b!.exchange(5), second.play(5, 6)]);
    await Promise.all([a!, b!, second].map((peer) => peer.play(6, 10)));
    const left = coordinator
      .events()
      .filter(({ event, peer }) => event === 'lost' && peer === c!.name).length;
    return {
      passed: code === 4004 && left === 0,
      measured: `the older one got ${code}; the newer one ${taken.length > 0 ? 'took part in' : 'missed'} the open round`,
    };
  },
};

export const openRounds: readonly Drill[] = [duplicate, late, ahead, poison, takeOver];
