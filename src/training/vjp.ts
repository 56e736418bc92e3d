import * as tf from '@tensorflow/tfjs';

/** One forward pass whose backward pass is still to come. */
export interface Vjp {
  /** What the forward function returned; owned by this object, valid until `backward` or `dispose`. */
  readonly outputs: readonly tf.Tensor[];
  /**
   * The vector-Jacobian product: for each variable `v`, the sum over outputs of `dy_i · d output_i / d v`.
   * Frees everything the forward pass kept. Can be called once.
   *
   * @param cotangents one per output, of the output's shape; `null` for an output that the loss does not depend on
   * @returns gradients in the order of `variables`, owned by the caller; `null` where a variable has no influence
   */
  backward(cotangents: readonly (tf.Tensor | null)[]): (tf.Tensor | null)[];
  /** Frees everything without a backward pass. Harmless after `backward` and when called twice. */
  dispose(): void;
}

type Engine = ReturnType<typeof tf.engine>;
type Tape = Engine['state']['activeTape'];

/**
 * Runs `forward` now and lets its backward pass be run later, so that a network exchange can lie in between: the one
 * forward pass serves both the predictions that are sent and the gradients that follow the answer.
 *
 * TensorFlow.js offers gradients of a synchronous function only. This takes its tape of recorded operations out of
 * the engine after the forward half, and puts it back for the backward half. A single output is differentiated from
 * its cotangent on; of several, the sum of `output · cotangent` is appended as the scalar to differentiate. Several
 * passes can be under way at once, each with its own tape.
 *
 * @param forward returns the outputs; runs synchronously, inside a scope of its own
 * @param variables what the gradients are taken with respect to
 */
export function vjp(forward: () => readonly tf.Tensor[], variables: readonly tf.Tensor[]): Vjp {
  const { outputs, tape } = recordTape(forward);
  let phase: 'open' | 'closed' = 'open';

  const freeTape = (): void => {
    for (const node of tape) for (const saved of node.saved ?? []) saved.dispose();
  };
  const dispose = (): void => {
    if (phase === 'closed') return;
    phase = 'closed';
    freeTape();
    for (const output of outputs) output.dispose();
  };
  return {
    outputs,
    dispose,
    backward(cotangents) {
      if (phase === 'closed') throw new Error('internal: backward of a pass that was already closed');
      if (cotangents.length !== outputs.length) {
        throw new Error(`internal: expected ${outputs.length} cotangents, got ${cotangents.length}`);
      }
      phase = 'closed';
      try {
        return differentiate(outputs, cotangents, tape, variables);
      } catch (error) {
        freeTape();
        throw error;
      } finally {
        for (const output of outputs) output.dispose();
      }
    },
  };
}

/** Runs `forward` with a fresh tape, whatever tape is open around it, and hands the tape to the caller. */
function recordTape(forward: () => readonly tf.Tensor[]): { outputs: tf.Tensor[]; tape: Tape } {
  const { state } = tf.engine();
  const outer = { tape: state.activeTape, depth: state.gradientDepth };
  const tape: Tape = [];
  state.activeTape = tape;
  state.gradientDepth = 1;
  try {
    // Kept, so that no scope of the caller ends them before their time.
    const outputs = tf.tidy(() => forward().map((output) => tf.keep(output)));
    return { outputs, tape };
  } catch (error) {
    for (const node of tape) for (const saved of node.saved ?? []) saved.dispose();
    throw error;
  } finally {
    state.activeTape = outer.tape;
    state.gradientDepth = outer.depth;
  }
}

/** The gradients of `sum_i <outputs_i, cotangents_i>`, with `tape` in the place of the one the engine would start. */
function differentiate(
  outputs: readonly tf.Tensor[],
  cotangents: readonly (tf.Tensor | null)[],
  tape: Tape,
  variables: readonly tf.Tensor[],
): (tf.Tensor | null)[] {
  const engine = tf.engine();
  const { state } = engine;
  const outer = { tape: state.activeTape, depth: state.gradientDepth };
  state.gradientDepth = 0;
  const startTape = (): void => {
    state.activeTape = tape;
    state.gradientDepth = 1;
  };
  // An own property hides the method of the prototype; deleting it uncovers that again.
  Object.defineProperty(engine, 'startTape', { value: startTape, configurable: true });
  const wanted = outputs.flatMap((output, i) => {
    const cotangent = cotangents[i];
    return cotangent ? [{ output, cotangent }] : [];
  });
  const project = (): tf.Tensor =>
    tf.addN(wanted.map(({ output, cotangent }) => tf.sum(tf.mul(output, cotangent))));
  const [first] = wanted;
  try {
    return tf.tidy(() => {
      const { grads } =
        first && wanted.length === 1
          ? engine.gradients(() => first.output, variables as tf.Tensor[], first.cotangent as tf.Scalar)
          : engine.gradients(project, variables as tf.Tensor[]);
      return grads.map((gradient) => gradient ?? null);
    });
  } finally {
    Reflect.deleteProperty(engine, 'startTape');
    state.activeTape = outer.tape;
    state.gradientDepth = outer.depth;
  }
}
