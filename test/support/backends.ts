import * as tf from '@tensorflow/tfjs';
import { backends } from '../../src/backend/registry.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { BackendName } from '../../src/backend/types.ts';

/** A backend that works here, and the card to load it with. */
export interface UsableBackend {
  readonly name: BackendName;
  /** Software adapters are only used when they are named. */
  readonly gpu?: string;
}

/**
 * The backends that work on this machine, best first. Says on stderr which these are, and of each of the others why it
 * is left out.
 *
 * @param tests what they are for, in words
 * @param names those that are of interest
 */
export async function usableBackends(
  tests: string,
  names: readonly BackendName[] = Object.values(backends).map(({ name }) => name),
): Promise<UsableBackend[]> {
  const usable: UsableBackend[] = [];
  for (const backend of names.map((name) => backends[name])) {
    let probe = await backend.probe();
    // The remedy says how a software adapter is used all the same.
    const gpu = probe.usable ? undefined : /for tests: --gpu (\S+)$/.exec(probe.remedy ?? '')?.[1];
    if (gpu !== undefined) probe = await backend.probe(gpu);
    if (probe.usable) usable.push({ name: backend.name, ...(gpu !== undefined && { gpu }) });
    else process.stderr.write(`${tests}: ${backend.name} is left out: ${probe.reason}\n`);
  }
  const list = usable.map(({ name, gpu }) => (gpu === undefined ? name : `${name} on ${gpu}`));
  process.stderr.write(`${tests}: with ${list.join(', ')}\n`);
  return usable;
}

/** What TensorFlow.js calls the backends that were loaded. */
const loaded = new Map<BackendName, string>();

/** Makes `backend` compute from now on; loads it the first time. */
export async function useBackend({ name, gpu }: UsableBackend): Promise<void> {
  const known = loaded.get(name);
  if (known !== undefined) await tf.setBackend(known);
  else await loadBackend(name, gpu);
  loaded.set(name, tf.getBackend());
}
