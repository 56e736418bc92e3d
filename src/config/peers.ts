import { asksPeers, methodsIn } from './methods.ts';

/** One entry of the experiment's `peers`: `count` students of one model. */
export interface PeerGroup {
  readonly model: string;
  readonly count: number;
  readonly name?: string;
  readonly role: 'student' | 'teacher';
  /** Of a teacher: a file of weights, or a run folder. */
  readonly weights?: string;
  readonly backend: string;
}

/** One student that the experiment asks for. */
export interface PlannedPeer {
  readonly name: string;
  readonly model: string;
  readonly role: 'student' | 'teacher';
  readonly weights?: string;
  readonly backend: string;
}

/** The places of a run with the experiment's method: without the teachers, where the method asks nobody. */
export function placesOf({
  peers,
  distill,
}: {
  readonly peers: readonly PeerGroup[];
  readonly distill: { readonly method: string; readonly methods?: readonly { readonly name: string }[] };
}): PlannedPeer[] {
  const places = peerNames({ peers });
  return methodsIn(distill).some(asksPeers) ? places : places.filter(({ role }) => role === 'student');
}

/**
 * The students of an experiment in the order of its file, each with its name in the run: `cnn-s-1`, `cnn-s-2`,
 * `resnet8-1`. A group with a `name` of its own is called by that: `alice`, or `alice-1`, `alice-2` when it has several.
 */
export function peerNames({ peers }: { readonly peers: readonly PeerGroup[] }): PlannedPeer[] {
  const numbered = new Map<string, number>();
  return peers.flatMap(({ count, name, ...peer }) =>
    Array.from({ length: count }, (_, i) => {
      if (name !== undefined) return { name: count === 1 ? name : `${name}-${i + 1}`, ...peer };
      const stem = peer.role === 'teacher' ? 'teacher' : stemOf(peer.model);
      const number = (numbered.get(stem) ?? 0) + 1;
      numbered.set(stem, number);
      return { name: `${stem}-${number}`, ...peer };
    }),
  );
}

/** The part of a model's name or path that can name a file: `net` of `./my/net.js`. */
function stemOf(model: string): string {
  const file = model.split(/[\\/]/).at(-1)!;
  const stem = file.replace(/\.[cm]?[jt]s$/, '').replace(/[^A-Za-z0-9._-]+/g, '-');
  return stem.replace(/^[^A-Za-z0-9]+/, '').slice(0, 48) || 'model';
}
