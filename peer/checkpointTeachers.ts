import * as tf from '@tensorflow/tfjs';
import { meanOfProbabilities } from '../src/distill/meanOfProbabilities.ts';
import type { Model } from '../src/models/types.ts';
import { assignWeights, readVariables, weightsOf } from '../src/training/modelWeights.ts';
import { decodeSafetensors, encodeSafetensors } from '../src/training/safetensors.ts';
import type { CheckpointInbox } from './checkpointInbox.ts';
import { logitsAlone, NO_STATE, type TeacherSource } from './teachers.ts';

export interface CheckpointOptions {
  /** The student's own network, whose weights the others get. */
  readonly model: Model;
  /** A network of each other peer's architecture, by the peer's name; taken over. */
  readonly copies: ReadonlyMap<string, Model>;
  readonly inbox: CheckpointInbox;
  /** Steps from one exchange to the next. */
  readonly every: number;
  /** The first step that distils. */
  readonly firstStep: number;
  readonly temperature: number;
  readonly maxWaitMs: number;
  /** Sends the student's own weights to the others. */
  readonly send: (step: number, bytes: Uint8Array) => void;
}

/**
 * The other peers teach by stale copies of themselves, which run here: their weights travel every `every` steps instead
 * of predictions at each. At an exchange, a student sends its weights and takes those that the others sent one exchange
 * before; so nobody waits for the network unless another peer is slower by more than that, and then for `maxWaitMs`. Of who
 * sends nothing in that time, the newest copy teaches on.
 *
 * @see Anil et al., "Large scale distributed neural network training through online distillation", ICLR 2018,
 *   arXiv 1804.03235, section 2.1 and algorithm 1
 */
export function checkpointTeachers(options: CheckpointOptions): TeacherSource {
  const { model, copies, inbox, every, firstStep, temperature, maxWaitMs, send } = options;
  /** The step of the weights that each copy has. */
  const loaded = new Map<string, number>();

  const exchange = async (step: number): Promise<void> => {
    send(step, encodeSafetensors(await readVariables(weightsOf(model)), {}));
    if (step === firstStep) return;
    const came = [...copies].map(async ([peer, copy]) => {
      return { peer, copy, checkpoint: await inbox.take(peer, step - every, maxWaitMs) };
    });
    for (const { peer, copy, checkpoint } of await Promise.all(came)) {
      if (!checkpoint || checkpoint.step === loaded.get(peer)) continue;
      assignWeights(copy, decodeSafetensors(checkpoint.bytes).tensors);
      loaded.set(peer, checkpoint.step);
    }
  };

  return {
    async teach({ step, images }) {
      const startedAt = performance.now();
      const due = (step - firstStep) % every === 0;
      if (due) await exchange(step);
      const waitedMs = due ? performance.now() - startedAt : 0;
      if (loaded.size === 0) return { target: null, waitedMs };
      const target = tf.tidy(() => {
        const logits = [...loaded.keys()]
          .sort()
          .map((peer) => copies.get(peer)!.forward(images, false).logits);
        return meanOfProbabilities(logits, temperature);
      });
      return { target: logitsAlone(target), waitedMs };
    },
    updated: () => {},
    // The copies come from the others, and come again.
    state: NO_STATE,
    dispose() {
      for (const copy of copies.values()) copy.dispose();
    },
  };
}
