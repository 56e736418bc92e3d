import type { PlannedPeer } from '../config/peers.ts';
import { UsageError } from '../errors.ts';

/** Backends that compute on the processor, and so need no card. */
const WITHOUT_GPU = new Set(['tfjs-node', 'wasm', 'cpu']);

/** Which GPU each peer computes on. */
export interface Cards {
  /** By the peer's name; a peer that needs none is not in it. */
  readonly of: ReadonlyMap<string, string>;
  /** Which peers have to share, in words; `null` when none has to. */
  readonly warning: string | null;
}

/** No peer is told which GPU to take. */
export const ANY_CARD: Cards = { of: new Map(), warning: null };

/**
 * Deals the cards to the peers that can use one, in the order of the experiment, and from the first again when there are
 * fewer of them.
 *
 * @param list as on the command line: numbers, UUIDs or names, separated by commas
 * @param backend of the peers that have none of their own
 * @throws {UsageError} on an empty place in the list, and when no peer can use a card
 */
export function dealCards(list: string, peers: readonly PlannedPeer[], backend: string): Cards {
  const cards = list.split(',').map((card) => card.trim());
  if (cards.includes('')) throw new UsageError(`--gpus: expected a list such as 0,1, got "${list}".`);
  const users = peers.filter((peer) => !WITHOUT_GPU.has(peer.backend === 'auto' ? backend : peer.backend));
  if (users.length === 0) {
    throw new UsageError(`--gpus ${list}: no peer computes on a GPU, because of their backends.`);
  }
  const of = new Map(users.map(({ name }, i) => [name, cards[i % cards.length]!]));
  const shared = [...new Set(cards)].flatMap((card) => {
    const names = [...of].filter(([, its]) => its === card).map(([name]) => name);
    return names.length > 1 ? [`${names.join(' and ')} share card ${card}`] : [];
  });
  if (shared.length === 0) return { of, warning: null };
  const counts = `${cards.length} card${cards.length === 1 ? '' : 's'} for ${users.length} peers`;
  return { of, warning: `${counts}: ${shared.join('; ')}.` };
}
