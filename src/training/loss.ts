import * as tf from '@tensorflow/tfjs';
import { crossEntropy } from '../distill/crossEntropy.ts';
import { encodingKey, needsOf, type Objective, type Term } from '../distill/objective.ts';
import { standardised } from '../distill/standardised.ts';
import type { LossInput, Modules, Outputs, TeacherOutputs } from '../distill/types.ts';
import { vjp } from './vjp.ts';

/** What the loss of one batch is made of. */
export interface LossBatch {
  readonly student: Outputs;
  /** Int32 `[batch]`. */
  readonly labels: tf.Tensor1D;
  /**
   * Encodings by `encodingKey`. `null` when nobody taught, for whatever reason: then only terms without teachers count,
   * and without any, the gradient is exactly that of training without teachers.
   */
  readonly teacher: TeacherOutputs | null;
  readonly ids: Uint32Array;
  /** Steps since the start. */
  readonly step: number;
  /** Share of the terms' weights that counts at this step, 0-1. */
  readonly share: number;
  /** Epochs since the start, fractions included, and in all. */
  readonly epoch: number;
  readonly epochs: number;
}

/** What one batch gives: the gradients to send back through the network, and sums for the report. */
export interface BatchLoss {
  /** Gradients of the mean loss with respect to the logits and then each feature; `null` where there is none. */
  readonly outputs: readonly (tf.Tensor | null)[];
  /** With respect to the parameters of the modules, in the order of the terms. */
  readonly modules: readonly (tf.Tensor | null)[];
  /** Sums over the batch, `[4]`: loss, cross-entropy, distillation, correct predictions. Stays on the device. */
  readonly sums: tf.Tensor1D;
  /** Of the distillation in the loss, after burn-in and ramp-up; the distillation is the weighted mean of its terms. */
  readonly weight: number;
}

/**
 * The loss of a batch, mean over the samples, on a network's outputs alone: cheap on any device, whatever the network.
 *
 * @param modules of the objective's terms, in their order
 * @returns tensors owned by the caller
 */
export function batchLoss(objective: Objective, modules: readonly Modules[], batch: LossBatch): BatchLoss {
  const make = (): BatchLoss => {
    const { student, labels } = batch;
    const features = Object.values(student.features);
    const parameters = modules.flatMap((each) => [...each.parameters.values()]);
    let weight = 0;
    const pass = vjp(() => {
      const terms = termsOf(objective, modules, batch);
      ({ weight } = terms);
      return terms.values;
    }, [student.logits, ...features, ...parameters]);
    const [loss, supervised, distillation] = pass.outputs;
    const [rows] = loss!.shape as [number];
    const correct = tf.cast(tf.equal(tf.argMax(student.logits, 1), labels), 'float32');
    const sums = [loss!, supervised!, distillation!, correct].map((term) => tf.sum(term));
    const gradients = pass.backward([tf.fill([rows], 1 / rows), null, null]);
    afterStep(objective, modules, batch);
    const split = 1 + features.length;
    return {
      outputs: gradients.slice(0, split),
      modules: gradients.slice(split),
      sums: tf.stack(sums) as tf.Tensor1D,
      weight,
    };
  };
  // The declared type knows no arrays with `null` in them; what runs does.
  return tf.tidy(make as unknown as () => tf.TensorContainer) as unknown as BatchLoss;
}

/** The loss, its supervised and its distillation part, each `[batch]`, and the weight of the last. */
function termsOf(
  objective: Objective,
  modules: readonly Modules[],
  batch: LossBatch,
): { values: tf.Tensor[]; weight: number } {
  const { terms } = objective;
  const inputs = terms.map((term, i) => inputOf(term, modules[i]!, batch, objective.standardise));
  const init = isInit(objective, batch);
  const share = init ? 1 : batch.share;
  const active = terms.flatMap(({ method, weight }, i) => {
    const loss = init ? method.init?.loss : method.loss;
    const taught = method.teachers === 'none' || batch.teacher !== null;
    return loss && taught && weight * share > 0 ? [{ weight, value: loss(inputs[i]!) }] : [];
  });
  const total = active.reduce((sum, { weight }) => sum + weight, 0);
  const own = terms.findIndex(
    ({ method }) => method.supervised && (method.teachers === 'none' || batch.teacher),
  );
  const supervised =
    own >= 0
      ? terms[own]!.method.supervised!(inputOf(terms[own]!, modules[own]!, batch, false))
      : crossEntropy(batch.student.logits, batch.labels);
  const weighted = tf.mul(supervised, init ? 0 : labelWeight(objective, active.length > 0 ? share : 0));
  if (active.length === 0) return { values: [weighted, supervised, tf.zerosLike(supervised)], weight: 0 };
  const distillation = tf.addN(active.map(({ weight, value }) => tf.mul(value, weight / total)));
  const loss = tf.add(weighted, tf.mul(distillation, total * share));
  return { values: [loss, supervised, distillation], weight: total * share };
}

/**
 * The labels give way to the distillation as far as that counts: a weight of 0.1 beside it would leave a step without a
 * teacher, and the whole burn-in, with a tenth of the learning rate.
 *
 * @param share of the distillation that counts in this step
 */
function labelWeight({ terms, ceWeight }: Objective, share: number): number {
  return terms.some(({ method }) => method.loss) ? 1 + share * (ceWeight - 1) : ceWeight;
}

/** Whether a method is in its first phase, which is then that of all. */
function isInit({ terms }: Objective, { epoch, epochs }: LossBatch): boolean {
  return terms.some(({ method, options }) => epoch < (method.init?.epochs(options, epochs) ?? 0));
}

function afterStep(objective: Objective, modules: readonly Modules[], batch: LossBatch): void {
  if (isInit(objective, batch)) return;
  for (const [i, term] of objective.terms.entries()) {
    if (term.method.teachers !== 'none' && !batch.teacher) continue;
    term.method.afterStep?.(inputOf(term, modules[i]!, batch, objective.standardise));
  }
}

function inputOf(term: Term, modules: Modules, batch: LossBatch, standardise: boolean): LossInput<unknown> {
  const { student } = batch;
  const prepare = (logits: tf.Tensor2D): tf.Tensor2D => (standardise ? standardised(logits) : logits);
  const { features } = needsOf(term, Object.keys(student.features));
  const teacherOf = ({ logits, encodings, apart }: TeacherOutputs): TeacherOutputs => ({
    logits: logits && prepare(logits),
    encodings: Object.fromEntries(features.map((need) => [need.layer, encodings[encodingKey(need)]!])),
    ...(apart && { apart: apart.map(teacherOf) }),
  });
  return {
    ...batch,
    student: { ...student, logits: prepare(student.logits) },
    teacher: batch.teacher && teacherOf(batch.teacher),
    options: term.options,
    modules,
  };
}
