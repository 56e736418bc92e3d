import { fusedBatchNorm } from './batchNorm.ts';
import { channelWiseOperations } from './broadcast.ts';
import { conv2D, conv2DBackpropFilter, conv2DBackpropInput } from './convolution.ts';
import { depthwiseBackpropFilter, depthwiseBackpropInput } from './depthwise.ts';
import { installKernel, type KernelPatch } from './kernel.ts';
import { batchMatMul } from './matmul.ts';
import { maxPoolGrad } from './pooling.ts';
import { mean, sum } from './reduction.ts';
import { unsortedSegmentSum } from './segmentSum.ts';
import { cast, identity } from './share.ts';
import { slice } from './slice.ts';
import { tile } from './tile.ts';

const patches: readonly KernelPatch[] = [
  conv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
  depthwiseBackpropFilter,
  depthwiseBackpropInput,
  batchMatMul,
  maxPoolGrad,
  sum,
  mean,
  unsortedSegmentSum,
  slice,
  tile,
  identity,
  cast,
  fusedBatchNorm,
  ...channelWiseOperations,
];

let installed = false;

/** Adds the gradient kernels to the wasm backend; call before `tf.setBackend('wasm')`. Does nothing the second time. */
export function registerWasmKernels(): void {
  if (installed) return;
  installed = true;
  for (const patch of patches) installKernel(patch);
}
