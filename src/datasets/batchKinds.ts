import type { BatchKind } from '../distill/types.ts';
import { deriveKey } from '../random.ts';
import { type ClassIndex, classPairs } from './classPairs.ts';
import { type BatchAddress, batchIds } from './sampler.ts';

/** Which samples a step learns from, and how each is seen. */
export interface KindOfBatch {
  /** A row each; some kinds have a sample twice. */
  readonly ids: Uint32Array;
  /** Key of the view of each row, for `Batcher.gather`. */
  readonly views: Uint32Array;
}

/**
 * The batch of a step, of any kind: computed directly, from nothing but the arguments.
 *
 * `batchSize` counts the samples that are new in a step, whatever the kind, so that an epoch has as many steps and sees as
 * many samples with every method. As the authors have it, all kinds but `plain` add as many rows again: `2 · batchSize`
 * go through the network, and take the time.
 *
 * - `plain`: the samples
 * - `overlapping`: the samples of the step before, in another view, and then those of this step; the very first step has
 *   these alone. The order of an epoch is that of `plain`, and its first batch begins with the last one of the epoch
 *   before: a sample can be in both halves there.
 * - `class-pairs`: the samples, and then for each of them another one of its class
 * - `two-views`: the samples, and then the same ones in another view
 *
 * @param view key of the step's view, see `viewKey`
 * @param classes samples by class; needed for `class-pairs` alone
 */
export function batchOf(
  kind: BatchKind,
  address: BatchAddress,
  view: number,
  classes?: ClassIndex,
): KindOfBatch {
  const ids = batchIds(address);
  const other = otherView(view);
  switch (kind) {
    case 'plain':
      return { ids, views: filled(ids.length, view) };
    case 'overlapping': {
      if (address.step === 0) return { ids, views: filled(ids.length, view) };
      return joined(batchIds({ ...address, step: address.step - 1 }), other, ids, view);
    }
    case 'class-pairs': {
      if (!classes) throw new Error('internal: pairs of a class need the samples by class');
      return joined(ids, view, classPairs(ids, classes, address.seed, address.step), other);
    }
    case 'two-views':
      return joined(ids, view, ids, other);
  }
}

/** The key of a second view of the same step, by the same peer. */
export function otherView(view: number): number {
  return deriveKey(view, 'other');
}

const filled = (rows: number, view: number): Uint32Array => new Uint32Array(rows).fill(view);

function joined(first: Uint32Array, firstView: number, second: Uint32Array, secondView: number): KindOfBatch {
  const ids = new Uint32Array(first.length + second.length);
  ids.set(first);
  ids.set(second, first.length);
  const views = filled(ids.length, firstView);
  views.fill(secondView, first.length);
  return { ids, views };
}
