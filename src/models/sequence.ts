import type { MapLayer } from './layers.ts';

/** `count` layers, each made by `make` from its index and fed with the output of the one before. */
export function sequence(count: number, make: (index: number) => MapLayer): MapLayer {
  const layers = Array.from({ length: count }, (_, i) => make(i));
  return (maps, training) => layers.reduce((x, layer) => layer(x, training), maps);
}
