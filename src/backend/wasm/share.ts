import * as tf from '@tensorflow/tfjs';
import type { KernelPatch } from './kernel.ts';

/** A tensor's values under another handle, as the cpu backend does it; the stock kernels copy them. */
const share: KernelPatch['run'] = ({ inputs, backend }) => {
  const { dataId, shape, dtype } = inputs.x!;
  backend.incRef(dataId);
  return { dataId, shape, dtype };
};

export const identity: KernelPatch = { name: tf.Identity, run: share };

/** Casts to the type that is there already are in the gradient of relu. */
export const cast: KernelPatch = {
  name: tf.Cast,
  run: (call) => (call.inputs.x!.dtype === (call.attrs as tf.CastAttrs).dtype ? share(call) : call.stock()),
};
