import * as tf from '@tensorflow/tfjs';
import { BackendError, messageOf, UsageError } from '../errors.ts';
import { lookUp } from '../names.ts';
import { backends } from './registry.ts';
import type { Backend, LoadedBackend, Refusal, Refused } from './types.ts';

type Registry = Readonly<Record<string, Backend>>;

/** Names that stand for the first of several backends that works. */
const CHOICES: Readonly<Record<string, (backend: Backend) => boolean>> = {
  auto: ({ automatic }) => automatic,
  node: ({ name }) => name === 'tfjs-node-gpu' || name === 'tfjs-node',
};

/**
 * Chooses and loads the backend of this process.
 *
 * @param requested name of a backend, which must then work here; or `auto` for the best that works; or `node` for
 *   TensorFlow's C library, with or without a GPU
 * @param gpu number of the GPU, counted from 0 in the order of the bus as `nvidia-smi` does, or its UUID, or part of its
 *   name. Then nothing but a GPU will do. A software GPU is only used when it is named.
 * @param registry the backends to choose from, best first
 * @throws {UsageError} on an unknown name, and on a GPU for a backend that uses none
 * @throws {BackendError} with all reasons, when nothing that was asked for works here
 */
export async function loadBackend(
  requested: string,
  gpu?: string,
  registry: Registry = backends,
): Promise<LoadedBackend> {
  const refused: Refusal[] = [];
  const advice: string[] = [];
  for (const backend of candidates(requested, gpu, registry)) {
    const outcome = await tryToLoad(backend, gpu);
    if ('device' in outcome) return { name: backend.name, device: outcome.device, refused };
    const { reason, remedy } = outcome;
    refused.push({ backend: backend.name, reason });
    advice.push(`Backend "${backend.name}" cannot be used: ${reason}${remedy ? ` (${remedy})` : ''}.`);
  }
  throw new BackendError(advice.join('\n'));
}

function candidates(requested: string, gpu: string | undefined, registry: Registry): Backend[] {
  const named = lookUp<Backend | ((backend: Backend) => boolean)>(
    'backend',
    { ...CHOICES, ...registry },
    requested,
  );
  const asked = typeof named === 'function' ? Object.values(registry).filter(named) : [named];
  if (gpu === undefined) return asked;
  const onGpu = asked.filter(({ usesGpu }) => usesGpu);
  if (onGpu.length > 0) return onGpu;
  throw new UsageError(`GPU ${gpu} was asked for, but the backend "${requested}" uses none.`);
}

/** Makes `backend` that of this process if it works here; otherwise tells why it does not. */
export async function tryToLoad(backend: Backend, gpu?: string): Promise<{ device: string } | Refused> {
  // Skips checks of every operation and the advice to install another package; `tf.memory` still counts tensors.
  tf.enableProdMode();
  try {
    const probe = await backend.probe(gpu);
    return probe.usable ? { device: await backend.load(gpu) } : probe;
  } catch (error) {
    return { usable: false, reason: messageOf(error), remedy: null };
  }
}
