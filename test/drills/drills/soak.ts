import { readdirSync } from 'node:fs';
import { createRandom } from '../../../src/random.ts';
import type { Drill } from '../drill.ts';
import { inspected, usageOf } from '../inspect.ts';
import { rssOf } from '../programs.ts';
import type { ScriptedPeer } from '../scriptedPeer.ts';
import { slope } from './slope.ts';

/** Rounds in all, and from one measurement to the next. */
const ROUNDS = 20_000;
const EVERY = 1_000;
/** Rounds from one mishap to the next. */
const MISHAP_EVERY = 50;
/** What a round may leave behind, in bytes. */
const MOST_GROWTH = 100;

export const soak: Drill = {
  number: 32,
  title: `${ROUNDS} rounds of 8 peers, with a mishap every ${MISHAP_EVERY} rounds`,
  promises: ['P1', 'P2', 'P3', 'P4', 'P5', 'P8', 'P9'],
  criterion: `what is held, and open files, stay: after the first quarter, less than ${MOST_GROWTH} bytes a round; all counters sum`,
  long: true,
  async run(stage) {
    const coordinator = await stage.coordinator(
      { peers: 8, lease: '30s', rows: 1, classes: 2, args: ['--max-journal', '1MiB'] },
      inspected(false),
    );
    const random = createRandom(stage.seed, 'soak');
    const peers = await stage.cast(coordinator);
    const memory: number[] = [];
    const held: number[] = [];
    const files: number[] = [];
    let mishaps = 0;
    for (let round = 0; round < ROUNDS; round++) {
      if (round % MISHAP_EVERY === MISHAP_EVERY - 1) {
        mishaps += 1;
        const i = random.below(peers.length);
        peers[i] = await mishap(random.below(4), peers[i]!, round, (peer) =>
          stage.scripted(peer.name, coordinator, { life: peer.life }),
        );
      }
      await Promise.all(peers.map((peer) => peer.exchange(round)));
      if (round % EVERY !== 0) continue;
      memory.push(rssOf(coordinator.pid));
      held.push((await usageOf(coordinator)).liveMiB);
      files.push(readdirSync(`/proc/${coordinator.pid}/fd`).length);
    }
    const settled = held.slice(Math.floor(held.length / 4));
    const bytesPerRound = (slope(settled) * 2 ** 20) / EVERY;
    stage.bound('P1', 'memory for each round', bytesPerRound, MOST_GROWTH, 'bytes');
    stage.bound('P1', 'open files', Math.max(...files) - files[0]!, 8, '');
    return {
      passed: true,
      measured: `${mishaps} mishaps; ${bytesPerRound.toFixed(0)} bytes a round; ${held[0]!.toFixed(1)} to ${held.at(-1)!.toFixed(1)} MiB held, ${Math.round(memory[0]!)} to ${Math.round(memory.at(-1)!)} resident, ${files[0]} to ${files.at(-1)} files`,
    };
  },
};

/** Something goes wrong with a peer between two rounds; it is there again for the next one. */
async function mishap(
  kind: number,
  peer: ScriptedPeer,
  round: number,
  again: (peer: ScriptedPeer) => ScriptedPeer,
): Promise<ScriptedPeer> {
  if (kind === 0) {
    // Asks again for a round that it was answered.
    await peer.exchange(round - 1);
    return peer;
  }
  if (kind === 1) peer.link.terminate();
  else if (kind === 2) peer.sendFrame(new Uint8Array([0xc1]));
  else peer.sendFrame('text');
  await peer.closed();
  const back = again(peer);
  await back.join({ step: round });
  await back.next('start');
  back.progress();
  return back;
}
