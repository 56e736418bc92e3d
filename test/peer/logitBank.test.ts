import { describe, expect, it } from 'vitest';
import { createLogitBank } from '../../peer/logitBank.ts';
import { getCodec } from '../../src/codec/index.ts';
import { normals } from '../support/numeric.ts';

const CLASSES = 3;
const ids = (...values: number[]) => Uint32Array.from(values);
const rowsOf = (...samples: number[]) => samples.flatMap((id) => normals(CLASSES, 2, `sample ${id}`));

/** What a network says of these samples: the same of each in any batch. */
function contributionOf(codec: 'float16' | 'float32', ...samples: number[]) {
  const data = getCodec(codec).encode(Float32Array.from(rowsOf(...samples)), samples.length, CLASSES);
  return { logits: { codec, shape: [samples.length, CLASSES] as [number, number], data } };
}

describe.each(['float16', 'float32'] as const)('a bank of logits as %s', (codec) => {
  it('knows no batch before all of its samples', () => {
    const bank = createLogitBank(8, CLASSES, codec);
    expect(bank.recall(ids(0))).toBeNull();
    bank.remember(ids(4, 1, 6), contributionOf(codec, 4, 1, 6));
    expect(bank.recall(ids(4, 1, 6, 0))).toBeNull();
    expect(bank.recall(ids(7))).toBeNull();
  });

  it('gives the rows of any batch of what it knows, in its order', () => {
    const bank = createLogitBank(8, CLASSES, codec);
    bank.remember(ids(4, 1, 6), contributionOf(codec, 4, 1, 6));
    bank.remember(ids(0, 7, 3), contributionOf(codec, 0, 7, 3));
    expect(bank.recall(ids(7, 6, 4))).toEqual(contributionOf(codec, 7, 6, 4));
    expect(bank.recall(ids(3))).toEqual(contributionOf(codec, 3));
    expect(bank.recall(ids(0, 0))).toEqual(contributionOf(codec, 0, 0));
  });

  it('keeps bytes of its own', () => {
    const bank = createLogitBank(8, CLASSES, codec);
    const said = contributionOf(codec, 2, 5);
    bank.remember(ids(2, 5), said);
    said.logits.data.fill(0xff);
    bank.recall(ids(2, 5))!.logits!.data.fill(0xee);
    expect(bank.recall(ids(5, 2))).toEqual(contributionOf(codec, 5, 2));
  });
});
