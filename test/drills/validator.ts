import { contents } from './contents.ts';
import type { HistoryRecord, Settings } from './history.ts';
import { answersOf, contributionsOf, groups, of, type Violation } from './select.ts';
import { sums } from './sums.ts';

export type { Violation } from './select.ts';

/** Beyond a deadline: what this machine's other work may cost. */
const SLACK_MS = 1_000;

/**
 * What a history breaks of what a coordinator promises: every drill is judged by this alone, besides its own number.
 * Looks at nothing but the history.
 */
export function validate(history: readonly HistoryRecord[]): Violation[] {
  return runsOf(history).flatMap((run) => {
    const [settings] = of(run, 'settings');
    return [
      ...bounds(run),
      ...exits(run),
      ...answers(run),
      ...order(run),
      ...(settings ? [...deadlines(run, settings), ...leases(run, settings)] : []),
      ...(settings?.complete ? contents(run, settings) : []),
      ...durability(run),
      ...identity(run),
      ...counters(run),
    ];
  });
}

/** The history of each run; a coordinator that goes on with a run is part of it. */
function runsOf(history: readonly HistoryRecord[]): HistoryRecord[][] {
  const runs: HistoryRecord[][] = [[]];
  let folder: string | undefined;
  for (const record of history) {
    if (record.kind === 'settings' && record.folder !== folder) {
      if (folder !== undefined) runs.push([]);
      folder = record.folder;
    }
    runs.at(-1)!.push(record);
  }
  return runs;
}

/** Whatever a drill has measured against a bound: memory, time to answer. */
function bounds(history: readonly HistoryRecord[]): Violation[] {
  return of(history, 'bound')
    .filter(({ value, most }) => !(value <= most))
    .map(({ promise, what, value, most, unit }) => ({
      promise: promise as Violation['promise'],
      detail: `${what}: ${value.toFixed(1)} ${unit}, expected at most ${most} ${unit}`,
    }));
}

/** P1: a coordinator that nobody has ended ends with its run, and in no other way. */
function exits(history: readonly HistoryRecord[]): Violation[] {
  return of(history, 'exited')
    .filter(({ program, asked, code }) => program === 'coordinator' && !asked && code !== 0 && code !== 7)
    .map(({ code }) => ({ promise: 'P1', detail: `the coordinator ended by itself with code ${code}` }));
}

const answerKey = ({ link, round }: { readonly link: number; readonly round?: number }): string =>
  `${link} ${round}`;

/**
 * The answers to what was sent on the same connection. Others are the answers to what came on an earlier connection of the
 * peer, which it does not wait for any more.
 */
function solicited(history: readonly HistoryRecord[]): ReturnType<typeof answersOf> {
  const sent = groups(contributionsOf(history), answerKey);
  return answersOf(history).filter(
    (answer) => (sent.get(answerKey(answer))?.[0]?.at ?? Infinity) <= answer.at,
  );
}

/** P3: a contribution is answered once at most, and nothing else is. */
function answers(history: readonly HistoryRecord[]): Violation[] {
  const sent = groups(contributionsOf(history), ({ peer, round }) => `${peer} ${round}`);
  const unread = new Set(of(history, 'sent').flatMap(({ type, peer }) => (type === '?' ? [peer] : [])));
  const unasked = answersOf(history).filter(
    ({ peer, round }) => !unread.has(peer) && !sent.has(`${peer} ${round}`),
  );
  const several = [...groups(solicited(history), answerKey).values()].filter((all) => {
    // Who sends a round again, also on another connection, may hear the same again, or where the others are.
    const times = sent.get(`${all[0]!.peer} ${all[0]!.round}`)!.length;
    return all.length > times || all.some(({ type, data }) => type === 'target' && data !== all[0]!.data);
  });
  return [
    ...several.map((all): Violation => {
      const { peer, round } = all[0]!;
      return { promise: 'P3', detail: `${peer} got ${all.length} answers for round ${round}` };
    }),
    ...unasked.map(({ peer, round }): Violation => {
      return { promise: 'P3', detail: `${peer} got an answer for round ${round}, for which it sent nothing` };
    }),
  ];
}

/** P4: rounds are answered in order, each one, on a connection that lasts. */
function order(history: readonly HistoryRecord[]): Violation[] {
  const honest = honestLinks(history);
  const found: Violation[] = [];
  const given = groups(solicited(history), ({ link }) => `${link}`);
  for (const [link, sent] of groups(contributionsOf(history), ({ link }) => `${link}`)) {
    if (!honest.has(Number(link))) continue;
    const got = given.get(link) ?? [];
    for (const [i, { peer, round }] of got.entries()) {
      const before = got[i - 1]?.round ?? -1;
      // The same again is no other order.
      if (round! < before)
        found.push({ promise: 'P4', detail: `${peer} got round ${round} after round ${before}` });
    }
    const last = got.at(-1)?.round ?? -1;
    const answered = new Set(got.map(({ round }) => round));
    for (const { peer, round } of sent) {
      if (round! < last && !answered.has(round))
        found.push({
          promise: 'P4',
          detail: `${peer} got no answer for round ${round}, but one for ${last}`,
        });
    }
  }
  return found;
}

/** Connections on which nothing was sent that an honest peer would not send, and each round once, in order. */
function honestLinks(history: readonly HistoryRecord[]): Set<number> {
  const honest = new Set<number>();
  for (const [link, sent] of groups(of(history, 'sent'), ({ link }) => `${link}`)) {
    const rounds = sent.flatMap(({ round }) => (round === undefined ? [] : [round]));
    const rising = rounds.every((round, i) => i === 0 || round > rounds[i - 1]!);
    if (rising && sent.every(({ good }) => good)) honest.add(Number(link));
  }
  return honest;
}

/** P7: an honest contribution is answered by the deadline; P2: also beside a peer that is at fault. */
function deadlines(history: readonly HistoryRecord[], { quorum, maxWaitMs }: Settings): Violation[] {
  if (quorum === 'all') return [];
  const honest = honestLinks(history);
  const disturbed = of(history, 'fault').length > 0 || of(history, 'sent').some(({ good }) => !good);
  const paused = new Set(of(history, 'fault').map(({ peer }) => peer));
  const ends = new Map(of(history, 'closed').map(({ link, at }) => [link, at]));
  const endedAt = history.at(-1)?.at ?? 0;
  const coordinatorEnds = of(history, 'exited').filter(({ program }) => program === 'coordinator');
  const given = groups(answersOf(history), ({ link, round }) => `${link} ${round}`);
  return contributionsOf(history).flatMap(({ peer, link, round, at }): Violation[] => {
    if (!honest.has(link) || paused.has(peer)) return [];
    const answer = given.get(`${link} ${round}`)?.[0];
    const until = answer?.at ?? ends.get(link) ?? endedAt;
    if (until - at <= maxWaitMs + SLACK_MS) return [];
    if (!answer && coordinatorEnds.some((end) => end.at >= at && end.at - at <= maxWaitMs + SLACK_MS))
      return [];
    const took = `${peer}, round ${round}: ${answer ? 'answered' : 'not answered'} within ${Math.round(until - at)} ms`;
    return [
      { promise: answer && disturbed ? 'P2' : 'P7', detail: `${took}, the deadline is ${maxWaitMs} ms` },
    ];
  });
}

/** P6: a round that was answered stays as it was, whatever has happened to the coordinator in between. */
function durability(history: readonly HistoryRecord[]): Violation[] {
  const runs = new Set(of(history, 'received').flatMap(({ run }) => run ?? []));
  const changed = [...groups(answersOf(history), ({ peer, round }) => `${peer} ${round}`).values()].flatMap(
    (all): Violation[] => {
      const first = all.find(({ type }) => type === 'target');
      const other = all.find((each) => each.at > (first?.at ?? 0) && each.data !== first?.data);
      // Within one life of the coordinator, asking again for a closed round is answered with where the others are.
      if (!first || !other || !restartedBetween(history, first.at, other.at)) return [];
      const detail = `${first.peer} got another answer for round ${first.round} after a restart`;
      return [{ promise: 'P6', detail }];
    },
  );
  if (runs.size <= 1) return changed;
  return [...changed, { promise: 'P6', detail: `the run became another one: ${[...runs].join(', ')}` }];
}

function restartedBetween(history: readonly HistoryRecord[], from: number, to: number): boolean {
  return of(history, 'started').some(({ program, at }) => program === 'coordinator' && at > from && at < to);
}

/** P8: nobody is given up before its lease has ended. */
function leases(history: readonly HistoryRecord[], { leaseMs }: Settings): Violation[] {
  const left = new Map<string, number>();
  const found: Violation[] = [];
  for (const { event, peer, time, reason } of of(history, 'event')) {
    if (event === 'left') left.set(peer!, Date.parse(time));
    if (event !== 'lost' || !reason?.startsWith('away')) continue;
    const awayMs = Date.parse(time) - (left.get(peer!) ?? Number.NEGATIVE_INFINITY);
    // Records are stamped a moment after what they are about.
    if (awayMs < leaseMs - 50)
      found.push({
        promise: 'P8',
        detail: `${peer} was given up after ${awayMs} ms, its lease is ${leaseMs} ms`,
      });
  }
  return found;
}

/** P8: whoever comes back has its name, and after a word about where the others are it takes part again. */
function identity(history: readonly HistoryRecord[]): Violation[] {
  const found: Violation[] = [];
  for (const { peer, name } of of(history, 'received').filter(({ type }) => type === 'welcome')) {
    if (name !== peer) found.push({ promise: 'P8', detail: `${peer} came back as ${name}` });
  }
  const honest = honestLinks(history);
  for (const [link, all] of groups(answersOf(history), ({ link }) => `${link}`)) {
    if (!honest.has(Number(link))) continue;
    const late = all.slice(0, 3).filter(({ reason }) => reason === 'late');
    if (late.length === 3)
      found.push({ promise: 'P8', detail: `${all[0]!.peer} was late for three rounds after it came back` });
  }
  return found;
}

/** P9: what the summary counts is what was recorded as it happened, and what the peers were told; its sums are right. */
function counters(history: readonly HistoryRecord[]): Violation[] {
  const summary = of(history, 'summary').at(-1);
  if (!summary) return [];
  const found: Violation[] = sums(summary.traffic);
  const expectEqual = (what: string, counted: number, recorded: number): void => {
    if (counted !== recorded)
      found.push({
        promise: 'P9',
        detail: `${what}: the summary counts ${counted}, recorded are ${recorded}`,
      });
  };
  const events = of(history, 'event').filter(({ event }) => event === 'missed');
  const told = answersOf(history).filter(({ type }) => type === 'noTarget');
  for (const reason of ['noTeachers', 'quorum', 'late', 'refused']) {
    const recorded = events.filter((event) => event.reason?.startsWith(`${reason}:`)).length;
    expectEqual(`targets missed (${reason})`, summary.missed[reason] ?? 0, recorded);
    const heard = groups(
      told.filter((each) => each.reason === reason),
      ({ peer, round }) => `${peer} ${round}`,
    ).size;
    if (heard > recorded)
      found.push({
        promise: 'P9',
        detail: `targets missed (${reason}): peers were told ${heard}, recorded are ${recorded}`,
      });
  }
  const rounds = new Set(answersOf(history).flatMap(({ type, round }) => (type === 'target' ? [round] : [])));
  if (summary.committed < rounds.size)
    found.push({
      promise: 'P9',
      detail: `rounds: the summary counts ${summary.committed}, targets came in ${rounds.size}`,
    });
  // Of strangers, the coordinator does not record every one: they may be any number.
  const known = new Set(
    of(history, 'received').flatMap(({ type, link }) => (type === 'welcome' ? [link] : [])),
  );
  const refused = of(history, 'closed').filter(
    ({ code, link }) => known.has(link) && (code === 4003 || code === 4007),
  );
  const refusals = of(history, 'event').filter(({ event }) => event === 'refused' || event === 'malformed');
  if (refused.length > refusals.length)
    found.push({
      promise: 'P9',
      detail: `refusals: peers were told ${refused.length}, recorded are ${refusals.length}`,
    });
  return found;
}
