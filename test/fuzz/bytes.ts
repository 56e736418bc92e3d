import fc from 'fast-check';

/** One change of some bytes; `at` and `from` are taken modulo what there is. */
type Edit =
  | { readonly kind: 'flip'; readonly at: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly count: number; readonly times: number };

/** Where a change is: anywhere, and at the start more often than elsewhere, as that is where sizes and types are. */
const places = fc.oneof(fc.nat(24), fc.nat(2 ** 20));

/** @param telling bytes that mean something in the format */
function edits(telling: readonly string[]): fc.Arbitrary<Edit> {
  const bytes = fc.oneof(
    fc.constantFrom(...telling).map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
    fc.uint8Array({ maxLength: 4 }),
  );
  const edit = <K extends Edit['kind']>(kind: K, rest: object) =>
    fc.record({ kind: fc.constant(kind), at: places, ...rest }) as unknown as fc.Arbitrary<Edit>;
  return fc.oneof(
    edit('flip', {}),
    edit('cut', {}),
    edit('write', { bytes }),
    edit('insert', { bytes }),
    edit('remove', { count: fc.nat(4) }),
    edit('repeat', { count: fc.integer({ min: 1, max: 32 }), times: fc.integer({ min: 1, max: 64 }) }),
  );
}

/**
 * Damaged bytes: some of `sources` with a few changes, the beginning of one, or that with the end of another.
 *
 * @param telling bytes that mean something in the format, in hexadecimal
 */
export function damaged(
  sources: fc.Arbitrary<Uint8Array>,
  telling: readonly string[],
): fc.Arbitrary<Uint8Array> {
  const changed = fc
    .tuple(sources, fc.array(edits(telling), { minLength: 1, maxLength: 4 }))
    .map(([bytes, changes]) => changes.reduce(apply, bytes));
  const spliced = fc.tuple(sources, sources, places, places).map(([head, tail, end, start]) => {
    const [kept, added] = [
      head.subarray(0, end % (head.length + 1)),
      tail.subarray(start % (tail.length + 1)),
    ];
    return joined(kept, added);
  });
  const cut = fc
    .tuple(sources, fc.nat(2 ** 20))
    .map(([bytes, at]) => bytes.subarray(0, at % (bytes.length + 1)));
  return fc.oneof(
    { arbitrary: changed, weight: 5 },
    { arbitrary: spliced, weight: 1 },
    { arbitrary: cut, weight: 1 },
  );
}

function apply(bytes: Uint8Array, edit: Edit): Uint8Array {
  const at = edit.at % (bytes.length + 1);
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (edit.kind) {
    case 'flip': {
      const copy = bytes.slice();
      if (copy.length > 0) copy[edit.at % copy.length]! ^= 1 << (edit.at & 7);
      return copy;
    }
    case 'cut':
      return head;
    case 'write':
      return joined(head, edit.bytes, tail.subarray(edit.bytes.length));
    case 'insert':
      return joined(head, edit.bytes, tail);
    case 'remove':
      return joined(head, tail.subarray(edit.count));
    case 'repeat': {
      const piece = tail.subarray(0, edit.count);
      return joined(head, ...Array.from({ length: edit.times }, () => piece), tail);
    }
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
