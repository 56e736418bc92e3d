/** One entry of the experiment's `peers`: `count` students of one model. */
export interface PeerGroup {
  readonly model: string;
  readonly count: number;
  readonly name?: string;
  readonly backend: string;
}

/** One student that the experiment asks for. */
export interface PlannedPeer {
  readonly name: string;
  readonly model: string;
  readonly backend: string;
}

/**
 * The students of an experiment in the order of its file, each with its name in the run: `cnn-s-1`, `cnn-s-2`,
 * `resnet8-1`. A group with a `name` of its own is called by that: `alice`, or `alice-1`, `alice-2` when it has several.
 */
export function peerNames({ peers }: { readonly peers: readonly PeerGroup[] }): PlannedPeer[] {
  const numbered = new Map<string, number>();
  return peers.flatMap(({ model, count, name, backend }) =>
    Array.from({ length: count }, (_, i) => {
      if (name !== undefined) return { name: count === 1 ? name : `${name}-${i + 1}`, model, backend };
      const stem = stemOf(model);
      const number = (numbered.get(stem) ?? 0) + 1;
      numbered.set(stem, number);
      return { name: `${stem}-${number}`, model, backend };
    }),
  );
}

/** The part of a model's name or path that can name a file: `net` of `./my/net.js`. */
function stemOf(model: string): string {
  const file = model.split(/[\\/]/).at(-1)!;
  const stem = file.replace(/\.[cm]?[jt]s$/, '').replace(/[^A-Za-z0-9._-]+/g, '-');
  return stem.replace(/^[^A-Za-z0-9]+/, '').slice(0, 48) || 'model';
}
