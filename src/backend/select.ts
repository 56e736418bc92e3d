import * as tf from '@tensorflow/tfjs';
import { BackendError, messageOf } from '../errors.ts';
import { lookUp } from '../names.ts';
import { backends } from './registry.ts';
import type { Backend, LoadedBackend, Refusal } from './types.ts';

/** The name that stands for the best backend that works. */
const AUTO = 'auto';

/**
 * Chooses and loads the backend of this process.
 *
 * @param requested the name of a backend, which must then work here, or `auto` for the first of the registry that does
 * @param registry the backends to choose from, best first
 * @throws {UsageError} on an unknown name
 * @throws {BackendError} with all reasons, when nothing that was asked for works here
 */
export async function loadBackend(
  requested: string,
  registry: Readonly<Record<string, Backend>> = backends,
): Promise<LoadedBackend> {
  const candidates =
    requested === AUTO
      ? Object.values(registry).filter((backend) => backend.automatic)
      : [lookUp<Backend | undefined>('backend', { [AUTO]: undefined, ...registry }, requested)!];
  const refused: Refusal[] = [];
  for (const backend of candidates) {
    const outcome = await tryToLoad(backend);
    if ('device' in outcome) return { name: backend.name, device: outcome.device, refused };
    refused.push({ name: backend.name, reason: outcome.reason });
  }
  throw new BackendError(
    refused.map(({ name, reason }) => `Backend "${name}" cannot be used: ${reason}.`).join('\n'),
  );
}

/** Makes `backend` that of this process if it works here; otherwise tells why it does not, in one line. */
export async function tryToLoad(backend: Backend): Promise<{ device: string } | { reason: string }> {
  // Skips checks of every operation and the advice to install another package; `tf.memory` still counts tensors.
  tf.enableProdMode();
  try {
    const probe = await backend.probe();
    return probe.usable ? { device: await backend.load() } : { reason: probe.reason };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}
