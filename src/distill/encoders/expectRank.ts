import { UsageError } from '../../errors.ts';
import type { EncoderName } from './types.ts';

/**
 * @param layer shape without the batch
 * @param rank 1 for vectors, 3 for maps
 * @throws {UsageError} when the layer is of the other kind
 */
export function expectRank(encoder: EncoderName, layer: readonly number[], rank: 1 | 3): void {
  if (layer.length === rank) return;
  const kind = (length: number) => (length === 1 ? 'a vector' : 'a map');
  throw new UsageError(
    `The encoder ${encoder} takes ${kind(rank)}, and the layer is ${kind(layer.length)} of ${layer.join(' x ')}. ` +
      'Choose another layer with distill.options.',
  );
}
