import { getCodec } from '../../src/codec/index.ts';
import { targets } from '../../src/ensemble/targets.ts';
import type { HistoryRecord, Received, Sent, Settings } from './history.ts';
import { answersOf, contributionsOf, groups, type Violation } from './select.ts';

/** Sets of contributions that are tried for a round at most. */
const MOST_SETS = 5_000;

/**
 * P5: the targets of a round are those of one set of contributions, bit for bit. P3: each counts once. P2: what no honest
 * peer sends is not in it.
 */
export function contents(history: readonly HistoryRecord[], settings: Settings): Violation[] {
  const sent = groups(contributionsOf(history), ({ round }) => `${round}`);
  const given = groups(
    answersOf(history).filter(({ type }) => type === 'target'),
    ({ round }) => `${round}`,
  );
  return [...given].flatMap(([round, all]) => explain(round, all, sent.get(round) ?? [], settings));
}

function explain(
  round: string,
  given: readonly Received[],
  sent: readonly Sent[],
  settings: Settings,
): Violation[] {
  const wrong = given.find(({ batch, peer }) => batch !== sent.find((each) => each.peer === peer)?.batch);
  if (wrong)
    return [{ promise: 'P2', detail: `round ${round}: ${wrong.peer} got a target of other samples` }];
  const counts = given.map(({ teachers }) => teachers!);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const what = `round ${round}: the targets for ${given.map(({ peer }) => peer).join(', ')}`;
  if (least < most - 1) return [{ promise: 'P5', detail: `${what} are of ${least} to ${most} teachers` }];
  // One of less than all for those in the set, who are not their own teachers; all of it for those who were away.
  const sizes = least === most ? [most + 1, most] : [most];
  const good = firstOf(sent.filter((each) => each.good && each.data));
  const explained = (
    contributions: ReadonlyMap<string, string>,
    size: number,
    change: (set: Named[]) => Named[][] = (set) => [set],
    counted = size,
  ): boolean => {
    const inside = new Set(given.flatMap(({ peer, teachers }) => (teachers === counted - 1 ? [peer] : [])));
    const outside = new Set(given.flatMap(({ peer, teachers }) => (teachers === counted ? [peer] : [])));
    const all = [...contributions]
      .filter(([peer]) => !outside.has(peer))
      .sort(([x], [y]) => (x < y ? -1 : 1));
    let tried = 0;
    for (const set of subsets(all, size, inside)) {
      if (change(set).some((changed) => matches(changed, given, settings))) return true;
      tried += 1;
      if (tried > MOST_SETS) return false;
    }
    return false;
  };
  if (sizes.some((size) => explained(good, size))) return [];
  const twice = (set: Named[]): Named[][] => set.map(([peer, data]) => [...set, [`${peer} again`, data]]);
  // Whether or not it is counted among the teachers as well.
  if (sizes.some((size) => explained(good, size, twice) || explained(good, size - 1, twice, size)))
    return [{ promise: 'P3', detail: `${what} count one contribution twice` }];
  const latest = firstOf(sent.filter(({ data }) => data).reverse());
  if (sizes.some((size) => explained(latest, size)))
    return [{ promise: 'P2', detail: `${what} are of contributions that no honest peer sends` }];
  return [{ promise: 'P5', detail: `${what} are those of no set of contributions` }];
}

type Named = readonly [peer: string, data: string];

function firstOf(sent: readonly Sent[]): Map<string, string> {
  const first = new Map<string, string>();
  for (const { peer, data } of sent) if (!first.has(peer)) first.set(peer, data!);
  return first;
}

/** Whether the targets are what this set of contributions gives. */
function matches(set: readonly Named[], given: readonly Received[], settings: Settings): boolean {
  if (set.length === 0) return false;
  const { rows, classes, temperature } = settings;
  const codec = getCodec(settings.codec);
  const logits = set.map(([, data]) => codec.decode(Buffer.from(data, 'base64'), rows, classes));
  const make = (includeSelf: boolean): string[] =>
    targets('mean-probabilities', logits, { rows, classes, temperature, includeSelf }).map((target) =>
      Buffer.from(codec.encode(target, rows, classes)).toString('base64'),
    );
  const ofOthers = set.length > 1 ? make(false) : [];
  const ofAll = make(true);
  return given.every(({ peer, data }) => {
    const own = set.findIndex(([name]) => name === peer);
    return data === (own < 0 ? ofAll[0] : ofOthers[own]);
  });
}

/** Subsets of a size that hold all of `needed`. */
function* subsets(all: readonly Named[], size: number, needed: ReadonlySet<string>): Generator<Named[]> {
  if (all.length < size) return;
  if (size === 0) {
    if (needed.size === 0 || !all.some(([peer]) => needed.has(peer))) yield [];
    return;
  }
  const [first, ...rest] = all;
  for (const others of subsets(rest, size - 1, needed)) yield [first!, ...others];
  if (!needed.has(first![0])) yield* subsets(rest, size, needed);
}
