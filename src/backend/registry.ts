import { cpu } from './cpu.ts';
import { tfjsNode } from './tfjsNode.ts';
import { tfjsNodeGpu } from './tfjsNodeGpu.ts';
import type { Backend, BackendName } from './types.ts';
import { wasm } from './wasm.ts';
import { webgpu } from './webgpu.ts';

/** Every backend by its name, in the order in which `auto` tries them. */
export const backends: Readonly<Record<BackendName, Backend>> = {
  'tfjs-node-gpu': tfjsNodeGpu,
  webgpu,
  'tfjs-node': tfjsNode,
  wasm,
  cpu,
};
