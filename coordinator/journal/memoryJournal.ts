import type { AnsweredRound, Journal, RunSnapshot } from './types.ts';

/** A journal that outlives nothing but the connections of peers; of all rounds. */
export function memoryJournal(): Journal {
  const rounds = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    answered({ round, answers }: AnsweredRound) {
      for (const [peer, frame] of answers) rounds.set(`${round} ${peer}`, frame);
    },
    snapshot(_: RunSnapshot) {},
    recall: (round, peer) => rounds.get(`${round} ${peer}`) ?? null,
  };
}
