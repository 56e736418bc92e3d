import type { ScriptedPeer } from '../scriptedPeer.ts';
import { pass } from '../stage.ts';

/** What honest peers take for a step, in milliseconds. */
export const STEP_MS = 5;

/** Milliseconds of a round for these peers, the 95th of a hundred. */
export async function roundTimes(
  peers: readonly ScriptedPeer[],
  from: number,
  count: number,
  stepMs = 0,
): Promise<number> {
  const times: number[] = [];
  for (let round = from; round < from + count; round++) {
    const startedAt = performance.now();
    await Promise.all(peers.map((peer) => peer.exchange(round)));
    times.push(performance.now() - startedAt);
    if (stepMs > 0) await pass(stepMs);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(0.95 * times.length)]!;
}

/** What peers went through while something else went on. */
export interface Played {
  readonly rounds: number;
  readonly slowestMs: number;
  /** Rounds without a target. */
  readonly missed: number;
}

/** Honest peers go on, round by round, until they are told to stop. */
export function keepPlaying(peers: readonly ScriptedPeer[], from: number): { stop(): Promise<Played> } {
  let [going, rounds, slowestMs, missed] = [true, 0, 0, 0];
  const play = async (): Promise<void> => {
    for (let round = from; going; round++) {
      const startedAt = performance.now();
      const answers = await Promise.all(peers.map((peer) => peer.exchange(round)));
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      missed += answers.filter(({ type }) => type === 'noTarget').length;
      rounds += 1;
      await pass(STEP_MS);
    }
  };
  const playing = play();
  // Told when it is stopped.
  playing.catch(() => {});
  return {
    async stop() {
      going = false;
      await playing;
      return { rounds, slowestMs, missed };
    },
  };
}
