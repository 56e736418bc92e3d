import { getCodec } from '../src/codec/index.ts';
import type { Contribution } from './contribution.ts';

/** What a network predicts for samples, as it is sent; a batch is answered from it when all of its samples are known. */
export interface LogitBank {
  recall(ids: Uint32Array): Contribution | null;
  /** @param contribution with logits alone, its rows in the order of `ids` */
  remember(ids: Uint32Array, contribution: Contribution): void;
}

/** @param samples of the training set */
export function createLogitBank(samples: number, classes: number, codec: 'float16' | 'float32'): LogitBank {
  const { bytes } = getCodec(codec);
  const rowBytes = bytes(1, classes);
  const rows = new Uint8Array(samples * rowBytes);
  const known = new Uint8Array(samples);
  return {
    recall(ids) {
      if (!ids.every((id) => known[id])) return null;
      const data = new Uint8Array(ids.length * rowBytes);
      for (const [row, id] of ids.entries()) {
        data.set(rows.subarray(id * rowBytes, (id + 1) * rowBytes), row * rowBytes);
      }
      return { logits: { codec, shape: [ids.length, classes], data } };
    },
    remember(ids, { logits }) {
      for (const [row, id] of ids.entries()) {
        rows.set(logits!.data.subarray(row * rowBytes, (row + 1) * rowBytes), id * rowBytes);
        known[id] = 1;
      }
    },
  };
}
