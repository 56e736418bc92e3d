import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { assemble, type WasmFunction } from './assembler.ts';

/** A function that computes in the backend's heap; addresses and distances are in bytes. */
export type Compiled = (...integers: number[]) => void;

const known = new WeakMap<WebAssembly.Memory, Map<string, readonly Compiled[]>>();

/**
 * Functions in a module of their own that shares the memory of the backend's module.
 *
 * @param key of these functions; they are made once
 */
export function compiled(
  backend: BackendWasm,
  key: string,
  make: () => readonly WasmFunction[],
): readonly Compiled[] {
  // Absent from the declared type of the module.
  const { memory } = (backend as unknown as { wasm: { asm: { memory: WebAssembly.Memory } } }).wasm.asm;
  const ofMemory = known.get(memory) ?? new Map<string, readonly Compiled[]>();
  known.set(memory, ofMemory);
  const functions = ofMemory.get(key) ?? instantiate(memory, make());
  ofMemory.set(key, functions);
  return functions;
}

function instantiate(memory: WebAssembly.Memory, functions: readonly WasmFunction[]): readonly Compiled[] {
  const module = new WebAssembly.Module(assemble(functions));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return Object.values(exports) as unknown as Compiled[];
}
