import { getCodec, hasNonFinite } from '../../src/codec/index.ts';
import { encodingKey } from '../../src/distill/objective.ts';
import type { Payload } from '../roundState.ts';

/** Which tensor holds values that are not finite; `null` when none does. */
export function nonFiniteOf({ logits, encodings }: Payload): string | null {
  if (logits && hasNonFinite(logits)) return 'the logits';
  const encoding = encodings.find(
    ({ codec, shape, data }) =>
      codec !== 'bits' &&
      hasNonFinite(
        getCodec(codec).decode(
          data,
          1,
          shape.reduce((a, b) => a * b),
        ),
      ),
  );
  return encoding ? `the values of ${encodingKey(encoding)}` : null;
}
