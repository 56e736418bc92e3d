import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { datasetDigest } from '../../../src/datasets/digest.ts';
import { loadDataset } from '../../../src/datasets/load.ts';
import type { Drill } from '../drill.ts';
import type { ScriptedPeer } from '../scriptedPeer.ts';
import { EMBEDDED, pass, type Stage, until } from '../stage.ts';
import { keepPlaying, STEP_MS } from './play.ts';

export const otherClasses: Drill = {
  number: 21,
  title: 'another number of classes, the same classes in another order',
  promises: ['P2', 'P9'],
  criterion: '4003 before it says anything about a batch, with what was expected',
  async run(stage) {
    const coordinator = await stage.coordinator({ classes: 10 });
    const [a, b, c] = coordinator.names.map((name) => stage.scripted(name, coordinator));
    const data = await loadDataset({ dataset: 'fashion-mnist', dataDir: EMBEDDED, seed: 0 });
    const { imageShape, train, test } = data;
    const turned = (labels: Uint16Array): Uint16Array => labels.map((label) => (label + 1) % 10);
    const other = datasetDigest(
      imageShape,
      10,
      { ...train, labels: turned(train.labels) },
      { ...test, labels: turned(test.labels) },
    );
    await a!.join({ dataset: data.digest });
    await b!.join({ dataset: data.digest });
    const tries = [{ dataset: data.digest, classes: 11 }, { dataset: other }];
    const reasons: string[] = [];
    for (const changes of tries) {
      const peer = stage.scripted(c!.name, coordinator);
      await peer.join(changes);
      const { code, reason } = await peer.closed();
      if (code === 4003) reasons.push(reason);
    }
    await c!.join({ dataset: data.digest });
    await Promise.all([a!, b!, c!].map((peer) => peer.next('start')));
    await Promise.all([a!, b!, c!].map((peer) => peer.play(0, 3)));
    return { passed: reasons.length === tries.length, measured: reasons.join(' | ') };
  },
};

/** Attempts to get in without the token of the run. */
const ATTEMPTS = 1_000;

export const strangers: Drill = {
  number: 23,
  title: `${ATTEMPTS} connections without the token of the run, or with another one`,
  promises: ['P1', 'P2'],
  criterion:
    'refused within 2 s, with no word about the token; no round waits for it, and the token still lets in',
  async run(stage) {
    const [token, other] = ['0123456789abcdef'.repeat(4), 'fedcba9876543210'.repeat(4)];
    const tokenFile = join(stage.folder, 'token');
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
    const coordinator = await stage.coordinator({ args: ['--token-file', tokenFile] });
    const peers = await stage.cast(coordinator, () => ({ link: { token } }));
    const play = keepPlaying(peers, 0);
    const wrong = [undefined, other, token.slice(1), `${token}0`];
    const endings = new Map<string, number>();
    let slowestRefusal = 0;
    let told = 0;
    for (let i = 0; i < ATTEMPTS; i++) {
      const guess = wrong[i % wrong.length];
      const link = guess === undefined ? {} : { token: guess };
      const peer = stage.scripted(`stranger-${i % 10}`, coordinator, { link });
      const startedAt = performance.now();
      await peer.connect().then(
        () => endings.set('let in', 1),
        () => {},
      );
      const { code, reason } = await peer.closed();
      slowestRefusal = Math.max(slowestRefusal, performance.now() - startedAt);
      if (reason.includes(token.slice(0, 8))) told += 1;
      // A coordinator that has had enough of an address may answer before there is a WebSocket.
      const ending = code === 1006 ? reason : `${code}`;
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }
    const { slowestMs } = await play.stop();
    peers[0]!.link.terminate();
    const back = stage.scripted(peers[0]!.name, coordinator, { link: { token }, life: peers[0]!.life });
    await until(
      () => coordinator.events().some(({ event, peer }) => event === 'left' && peer === back.name),
      'the end of a connection',
    );
    const letIn = await back.connect().then(
      () => true,
      () => false,
    );
    stage.bound('P2', 'the slowest round', slowestMs, 1_000, 'ms');
    return {
      passed: !endings.has('let in') && told === 0 && slowestRefusal < 2_000 && letIn,
      measured: `${[...endings].map(([ending, count]) => `${count} x ${ending}`).join(', ')}; the slowest round ${Math.round(slowestMs)} ms`,
    };
  },
};

/** Rounds that the others are ahead of one who comes back, and rounds within which it counts again. */
const BEHIND = 200;
const WITHIN = 50;

export const comeBack: Drill = {
  number: 28,
  title: `leave, and come back ${BEHIND} rounds later: within the lease, and after it`,
  promises: ['P2', 'P8'],
  criterion: `computing as fast as the others, it counts again within ${WITHIN} rounds; the others miss no target`,
  async run(stage) {
    const told: string[] = [];
    let passed = true;
    for (const lease of ['30s', '300ms']) {
      const coordinator = await stage.coordinator({ lease, maxWait: '250ms' });
      const [a, b, c] = await stage.cast(coordinator);
      await Promise.all([a!, b!, c!].map((peer) => peer.play(0, 3)));
      c!.link.terminate();
      await coordinator.event(lease === '30s' ? 'left' : 'lost', c!.name);
      await Promise.all([a!.play(3, BEHIND), b!.play(3, BEHIND)]);
      const back = stage.scripted(c!.name, coordinator, { life: c!.life });
      const play = keepPlaying([a!, b!], BEHIND);
      await back.join({ step: 3 });
      await back.next('start');
      const rounds = await countsAgain(stage, back, a!, 3);
      const { missed } = await play.stop();
      passed &&= rounds !== null && missed === 0;
      const when = rounds === null ? `never within ${WITHIN} rounds` : `in its ${rounds}. round`;
      told.push(`counts again ${when}; the others missed ${missed}`);
      back.link.terminate();
      stage.finish(coordinator);
      await stage.collect(coordinator);
    }
    return { passed, measured: told.join(' | ') };
  },
};

/** In which of its rounds a peer that is back is part of what another is taught; `null`: in none. */
async function countsAgain(
  stage: Stage,
  peer: ScriptedPeer,
  other: ScriptedPeer,
  step: number,
): Promise<number | null> {
  const since = stage.history.records.length;
  let round = step;
  for (let taken = 1; taken <= WITHIN; taken++) {
    const answer = await peer.exchange(round);
    round = Math.max(round + 1, (answer.type === 'noTarget' && answer.nextRound) || 0);
    const counted = stage.history.records
      .slice(since)
      .some((record) => record.kind === 'received' && record.peer === other.name && record.teachers === 2);
    if (counted) return taken;
    await pass(STEP_MS);
  }
  return null;
}

export const allLeave: Drill = {
  number: 29,
  title: 'all peers leave, and come back within their leases',
  promises: ['P6', 'P7', 'P8'],
  criterion: 'the run waits, and goes on where it was',
  async run(stage) {
    const coordinator = await stage.coordinator({ lease: '30s' });
    const peers = await stage.cast(coordinator);
    await Promise.all(peers.map((peer) => peer.play(0, 10)));
    for (const peer of peers) peer.link.terminate();
    await Promise.all(peers.map(({ name }) => coordinator.event('left', name)));
    const back = peers.map(({ name, life }) => stage.scripted(name, coordinator, { life }));
    for (const peer of back) await peer.join({ step: 10 });
    await Promise.all(back.map((peer) => peer.next('start')));
    const closed = await back[0]!.exchange(9);
    const taken = await Promise.all(back.map((peer) => peer.play(10, 20)));
    return {
      passed: taken.every((rounds) => rounds.length === 10),
      measured: `round 9: ${closed.type === 'noTarget' ? closed.reason : 'as it was'}; then ${taken[0]!.length} of 10 rounds`,
    };
  },
};

/** Peers that come at the same moment. */
const HERD = 200;

export const herd: Drill = {
  number: 30,
  title: `${HERD} peers that come back at the same moment`,
  promises: ['P1', 'P7', 'P8'],
  criterion: 'none is refused; 99 of 100 are in within 2 s; a request is answered within 500 ms meanwhile',
  long: true,
  async run(stage) {
    const coordinator = await stage.coordinator({ peers: HERD, lease: '30s', maxWait: '10s' });
    const peers = await stage.cast(coordinator);
    await Promise.all(peers.map((peer) => peer.exchange(0)));
    for (const peer of peers) peer.link.terminate();
    await until(
      () => coordinator.events().filter(({ event }) => event === 'left').length === HERD,
      'the end of all connections',
    );
    const probed = await stage.probing(coordinator);
    const back = peers.map(({ name, life }) => stage.scripted(name, coordinator, { life }));
    const times = await Promise.all(back.map((peer) => timed(() => peer.join({ step: 1 }))));
    await Promise.all(back.map((peer) => peer.next('start')));
    const slowest = await probed();
    const answers = await Promise.all(back.map((peer) => peer.exchange(1)));
    const taught = answers.filter((answer) => answer.type === 'target').length;
    times.sort((x, y) => x - y);
    const p99 = times[Math.floor(0.99 * HERD)]!;
    stage.bound('P1', 'time to answer', slowest, 500, 'ms');
    return {
      passed: p99 <= 2_000 && taught === HERD,
      measured: `p99 ${Math.round(p99)} ms; answers within ${Math.round(slowest)} ms; ${taught} taught in the next round`,
    };
  },
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export const joining: readonly Drill[] = [otherClasses, strangers, comeBack, allLeave, herd];
