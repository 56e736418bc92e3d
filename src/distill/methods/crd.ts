import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { UsageError } from '../../errors.ts';
import { constant, type Initialiser, linearUniform } from '../../models/initialisers.ts';
import { dense } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { type Chooser, chosenLayers, vectorLayer, vectorWidths } from '../layers.ts';
import { drawNegatives, mostNegatives } from '../negatives.ts';
import { decay } from '../options.ts';
import { replaceRows } from '../replaceRows.ts';
import { scaledGradient } from '../scaledGradient.ts';
import type { LossInput, Method, Modules } from '../types.ts';
import { unit } from '../unit.ts';

const options = z.strictObject({
  layer: vectorLayer(),
  width: z.int().min(1).default(128).describe('length of the vectors that both embeddings are brought to'),
  negatives: z
    .int()
    .min(1)
    .default(16384)
    .describe('samples of other classes that each sample is told from; all of them, where there are fewer'),
  tau: z.number().positive().default(0.07).describe('temperature of the contrast'),
  momentum: decay(0.5).describe('share of a remembered vector that is kept when its sample is seen again'),
});

type Options = z.infer<typeof options>;

/** Added to the probabilities, as in the authors' code. */
const EPSILON = 1e-7;

/** What is remembered of one of the two networks. */
interface Memory {
  /** `[training set, width]`: the latest vector of each sample. */
  readonly bank: tf.Variable;
  /** `[1]`: what the other network's scores against the bank are divided by; below 0 before the first batch. */
  readonly total: tf.Variable;
}

interface CrdModules extends Modules {
  /** Both are the student's: the teacher's embedding is trained too. */
  readonly embedStudent: (rows: tf.Tensor2D) => tf.Tensor2D;
  readonly embedTeacher: (rows: tf.Tensor2D) => tf.Tensor2D;
  readonly student: Memory;
  readonly teacher: Memory;
  readonly trainLabels: Uint16Array;
  readonly negatives: number;
  readonly seed: number;
  /** Whether the totals are known to be set; only saves looking. */
  totalsSet: boolean;
}

const chooser: Chooser = { method: 'crd', option: 'layer' };

/**
 * Contrastive representation distillation: a sample's vector shall be told from those of other classes by the other
 * network's memory. `ceWeight · CE(z, y) + kdWeight · (L(s, bank_t) + L(t, bank_s))` with
 *
 *     L(v, bank) = log(1 + (c + ε) / P⁺) + Σ_negatives log(1 + (P⁻ + ε) / c)
 *     P = exp(v · m / τ) / Z,  c = K / N
 *
 * where `s` and `t` are linear embeddings of length 1, both trained, `m` is the remembered vector of the sample itself
 * (`+`) or of one of `K` samples of other classes (`-`), of `N` samples in all, and `Z` is `N` times the mean of
 * `exp(v · m / τ)` over the first batch. It is the authors' `-log h - Σ log(1 - h)` with `h = P / (P + c)`.
 *
 * Sum over the negatives, mean over the batch. After each batch `m ← momentum · m + (1 - momentum) · v`, normalised. The
 * negatives follow from the seed and the step; the authors draw with replacement where there are fewer than `K`.
 *
 * Scores are those of the whole bank, one matrix product, and a mask picks the negatives: a copy of `K` vectors for each
 * sample of the batch, as usual on large GPUs, would be half a gigabyte.
 *
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699, section 3
 * @see Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018, arXiv
 * 1805.01978: memory bank and Z
 */
export const crd: Method<Options, CrdModules> = {
  name: 'crd',
  summary:
    'contrastive: a sample is told from those of other classes by what is remembered of the other network',
  source: 'Tian et al. 2020, "Contrastive Representation Distillation", arXiv 1910.10699, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 0.8 },
  needs: ({ layer }, layers) => ({
    logits: false,
    features: chosenLayers(chooser, [layer], layers).map((each) => ({ layer: each, encoder: 'vector@1' })),
  }),
  modules(setup, { layer, width, negatives }) {
    const { trainLabels, seed, trainSize } = setup;
    const widths = vectorWidths(setup, chooser, layer);
    const most = mostNegatives(trainLabels);
    if (most === 0) throw new UsageError('crd needs training samples of two classes or more.');
    const weights = new Weights(seed);
    const memory = (name: string): Memory => ({
      bank: weights.buffer(`${name}.bank`, [trainSize, width], uniform(Math.sqrt(3 / width))),
      total: weights.buffer(`${name}.total`, [1], constant(-1)),
    });
    return {
      parameters: weights.parameters,
      buffers: weights.buffers,
      embedStudent: dense(weights, 'student', widths.student, width, linearUniform),
      embedTeacher: dense(weights, 'teacher', widths.teacher, width, linearUniform),
      student: memory('student'),
      teacher: memory('teacher'),
      trainLabels,
      negatives: Math.min(negatives, most),
      seed,
      totalsSet: false,
    };
  },
  loss(input) {
    const { modules } = input;
    const { own, theirs } = embed(input);
    const batch = batchOf(input);
    return tf.add(
      contrast(scores(own, modules.teacher, batch, input), modules.teacher, batch, modules),
      contrast(scores(theirs, modules.student, batch, input), modules.student, batch, modules),
    );
  },
  afterStep(input) {
    const { modules, options } = input;
    const { own, theirs } = embed(input);
    const batch = batchOf(input);
    if (!modules.totalsSet) {
      setTotal(scores(own, modules.teacher, batch, input), modules.teacher, batch, modules);
      setTotal(scores(theirs, modules.student, batch, input), modules.student, batch, modules);
      modules.totalsSet = true;
    }
    remember(own, modules.student, input.ids, options);
    remember(theirs, modules.teacher, input.ids, options);
  },
};

type Input = LossInput<Options, CrdModules>;

interface Batch {
  /** Int32 `[batch]`. */
  readonly ids: tf.Tensor1D;
  /** `[training set, batch]`: 1 for the negatives of a sample. */
  readonly negative: tf.Tensor2D;
}

interface Scores {
  /** `[batch]`, of the samples themselves. */
  readonly own: tf.Tensor1D;
  /** `[training set, batch]`, of all samples. */
  readonly all: tf.Tensor2D;
}

function embed({ student, teacher, modules, options: { layer } }: Input): {
  own: tf.Tensor2D;
  theirs: tf.Tensor2D;
} {
  return {
    own: unit(modules.embedStudent(student.features[layer] as tf.Tensor2D), 1),
    theirs: unit(modules.embedTeacher(teacher!.encodings[layer] as tf.Tensor2D), 1),
  };
}

function batchOf({ ids, step, modules: { trainLabels, negatives, seed } }: Input): Batch {
  const drawn = drawNegatives({ trainLabels, ids, count: negatives, seed, step });
  return {
    ids: tf.tensor1d(Int32Array.from(ids), 'int32'),
    negative: tf.tensor2d(drawn, [trainLabels.length, ids.length]),
  };
}

/** `exp(v · m / τ)`. */
function scores(vectors: tf.Tensor2D, { bank }: Memory, { ids }: Batch, { options: { tau } }: Input): Scores {
  const remembered = tf.gather(bank, ids);
  return {
    own: tf.exp(tf.div(tf.sum<tf.Tensor1D>(tf.mul(remembered, vectors), 1), tau)),
    all: tf.exp(tf.div(tf.matMul(bank as tf.Tensor2D, vectors, false, true), tau)),
  };
}

/** One value per sample. */
function contrast({ own, all }: Scores, memory: Memory, batch: Batch, modules: CrdModules): tf.Tensor1D {
  const total = modules.totalsSet ? memory.total : totalOf({ own, all }, memory, batch, modules);
  const noise = modules.negatives / modules.trainLabels.length;
  const positive = tf.log1p(tf.div(tf.mul(total, noise + EPSILON), own));
  const ratio = tf.add(tf.div(all, tf.mul(total, noise)), EPSILON / noise);
  return tf.add(positive, tf.sum(tf.mul(tf.log1p(ratio), batch.negative), 0));
}

/** The total that is set, or what it is to be by this batch; a constant. */
function totalOf(
  { own, all }: Scores,
  { total }: Memory,
  { negative }: Batch,
  { trainLabels, negatives }: CrdModules,
): tf.Tensor {
  const sum = tf.add(tf.sum(own), tf.sum(tf.mul(all, negative)));
  const terms = negative.shape[1] * (negatives + 1);
  const first = tf.reshape(tf.mul(sum, trainLabels.length / terms), [1]);
  return tf.where(tf.greater(total, 0), total, scaledGradient(first, 0));
}

function setTotal(each: Scores, memory: Memory, batch: Batch, modules: CrdModules): void {
  memory.total.assign(totalOf(each, memory, batch, modules));
}

/** Moves the remembered vectors of the batch's samples, which are all different, towards their latest ones. */
function remember(vectors: tf.Tensor2D, { bank }: Memory, ids: Uint32Array, { momentum }: Options): void {
  const before = tf.gather(bank, tf.tensor1d(Int32Array.from(ids), 'int32'));
  const moved = tf.add(tf.mul(before, momentum), tf.mul(vectors, 1 - momentum)) as tf.Tensor2D;
  replaceRows(bank, ids, unit(moved, 1));
}

/** U(-bound, bound). */
function uniform(bound: number): Initialiser {
  return (values, _shape, random) => {
    for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform() - 1) * bound;
  };
}
