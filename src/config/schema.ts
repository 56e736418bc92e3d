import { z } from 'zod';
import { ENSEMBLES, LABEL_LENGTH, NAME_LENGTH } from '../protocol/messages.ts';
import { durationPattern, parseDuration } from './duration.ts';
import { optimizer } from './optimizer.ts';
import {
  batchFits,
  burnInEnds,
  copiesSuffice,
  methodKnown,
  methodsDiffer,
  methodsSuitPeers,
  milestonesSuitSchedules,
  modelKnown,
  namesSuit,
  oneWayToSayIt,
  rule,
  teachersCanTeach,
  waitsInOrder,
} from './rules.ts';

/** Names of the datasets, as `data.dataset` accepts them. */
export const DATASETS = ['fashion-mnist', 'cifar-10', 'cifar-100'] as const;

/** Names of the backends, as `peers[].backend` accepts them, and the words for the best of all, and of TensorFlow's, that works. */
export const BACKENDS = ['auto', 'node', 'tfjs-node-gpu', 'webgpu', 'tfjs-node', 'wasm', 'cpu'] as const;

const positiveInt = z.int().min(1);
const steps = z.int().min(0);
const fraction = z.number().min(0).max(1);
const weight = z.number().min(0);

/** A name as the wire has it, or shorter. */
const nameOf = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${length - 1}}$`))
    .meta({
      expected: `a name of at most ${length} letters, digits, ".", "_" and "-", a letter or digit first`,
    });

/** Resolved to milliseconds, and short enough for a timer of JavaScript. */
const duration = z
  .union([z.number(), z.string().regex(durationPattern)])
  .transform(parseDuration)
  .pipe(
    z
      .int()
      .min(1)
      .max(2 ** 31 - 1),
  )
  .meta({ expected: 'a duration such as 10s, 500ms or 2m, at most 24 days' });

const methodName = z
  .string()
  .min(1)
  .meta({ expected: 'the name of a method, or the path of a module that exports one' })
  .superRefine(rule(methodKnown));

const methodOptions = z
  .record(z.string(), z.unknown())
  .meta({ expected: 'options of the method, such as {beta: 8}; see codistill methods' })
  .default({});

const data = z
  .strictObject({
    dataset: z.enum(DATASETS).default('fashion-mnist').describe('what the students learn to classify'),
    trainSize: positiveInt.exactOptional().describe('training samples to use; all of them when absent'),
    testSize: positiveInt.exactOptional().describe('test samples to use; all of them when absent'),
    labelNoise: fraction.default(0).describe('share of training labels replaced by a wrong class'),
    batchSize: positiveInt.default(64).describe('samples in one training step'),
    augment: z
      .enum(['none', 'crop-flip'])
      .default('none')
      .describe('random change of training images: none, or shifted crops and mirror images'),
    view: z
      .enum(['shared', 'own'])
      .default('shared')
      .describe('whether all peers see the same augmented image, or each its own'),
  })
  .superRefine(rule(batchFits))
  .prefault({});

const training = z
  .strictObject({
    epochs: positiveInt.default(25).describe('passes over the training samples'),
    optimizer,
    schedule: z
      .enum(['cosine', 'constant', 'step'])
      .default('cosine')
      .describe(
        'course of the learning rate: down to 0 along half a cosine, constant, or down at each of milestones',
      ),
    milestones: z
      .array(positiveInt)
      .exactOptional()
      .meta({ expected: 'a list of whole numbers of at least 1, each above the one before' })
      .describe('epochs after which the learning rate of the schedule step, or the weight decay, falls'),
    decayFactor: z
      .number()
      .positive()
      .lt(1)
      .exactOptional()
      .describe('what the schedule step multiplies the learning rate by at a milestone; 0.1 when absent'),
    warmUpSteps: steps.default(0).describe('first steps, over which the learning rate grows to its highest'),
    clipNorm: z
      .union([z.number().positive(), z.null(), z.literal('none').transform(() => null)])
      .meta({ expected: 'a number above 0, or none' })
      .prefault(5)
      .describe('largest joint L2 norm of the gradients; longer ones are scaled down to it'),
    evaluateEvery: positiveInt.default(1).describe('epochs from one evaluation on the test set to the next'),
    report: z
      .enum(['last', 'best'])
      .default('last')
      .describe(
        'evaluation that is reported: the last one, or the best one of each peer, too, which is chosen on the test set',
      ),
  })
  .superRefine(rule(milestonesSuitSchedules))
  .prefault({});

const distill = z
  .strictObject({
    method: methodName.default('dml').describe('how students are taught, and by whom; see codistill methods'),
    options: methodOptions.describe('what else the method can be told'),
    methods: z
      .array(
        z.strictObject({
          name: methodName.describe('one of several methods whose losses are added up'),
          weight: weight.exactOptional().describe("its weight; the method's own when absent"),
          options: methodOptions.describe('what else it can be told'),
        }),
      )
      .min(1)
      .meta({ expected: 'a list of methods, each with its name' })
      .exactOptional()
      .describe('several methods at once, in the place of method, kdWeight and options'),
    temperature: z
      .number()
      .positive()
      .exactOptional()
      .describe("divides the logits of student and teacher before the softmax; the method's own when absent"),
    standardise: z
      .boolean()
      .default(false)
      .describe('whether logits are brought to mean 0 and deviation 1 before they are compared'),
    ceWeight: weight
      .exactOptional()
      .describe(
        "weight of the cross-entropy to the labels beside the distillation, 1 where nobody teaches; the method's own when absent",
      ),
    kdWeight: weight
      .exactOptional()
      .describe("weight of the distillation loss, when fully ramped up; the method's own when absent"),
    burnInSteps: steps.default(150).describe('first steps, on labels alone'),
    rampUpSteps: steps
      .default(50)
      .describe('steps after the burn-in over which kdWeight grows to its full value'),
    rampUpShape: z
      .enum(['linear', 'sigmoid', 'cosine', 'growth'])
      .default('linear')
      .describe(
        'how it grows: linear, along a sigmoid or half a cosine, or linear to the end of the training, whatever rampUpSteps',
      ),
  })
  .superRefine(rule(oneWayToSayIt))
  .prefault({});

const exchange = z
  .strictObject({
    mode: z
      .enum(['lockstep', 'checkpoint'])
      .default('lockstep')
      .describe(
        'lockstep: predictions for every batch, all about the same one at once; checkpoint: weights now and then, and their copies run by each peer',
      ),
    checkpointEvery: positiveInt
      .default(50)
      .describe('steps from one exchange of weights to the next, in the mode checkpoint'),
    codec: z.enum(['float16', 'float32']).default('float16').describe('encoding of logits on the wire'),
    ensemble: z
      .enum(ENSEMBLES)
      .exactOptional()
      .describe("how the predictions of several teachers become one target; the method's own when absent"),
    allowFeatureMaps: z
      .boolean()
      .default(false)
      .describe('whether methods may send whole feature maps, which take megabytes a batch'),
    quorum: z
      .union([positiveInt, z.literal('all')])
      .meta({ expected: 'a whole number of at least 1, or all' })
      .default(1)
      .describe('least number of teachers that a target is made of'),
    maxWait: duration.prefault('10s').describe('longest wait for a target; then the step uses labels alone'),
    lease: duration.prefault('30s').describe('how long a silent peer keeps its place in the run'),
    onCoordinatorLoss: z
      .enum(['continue', 'wait'])
      .default('continue')
      .describe(
        'what a student does while the coordinator is away: train on with the labels alone, or wait for its target',
      ),
  })
  .superRefine(rule(waitsInOrder))
  .prefault({});

const peer = z.strictObject({
  model: z
    .string()
    .min(1)
    .max(LABEL_LENGTH)
    .meta({
      expected: `the name of a model, or the path of a module that exports one, at most ${LABEL_LENGTH} characters`,
    })
    .superRefine(rule(modelKnown))
    .describe('network that the student trains'),
  count: z.int().min(1).max(1024).default(1).describe('students of this kind'),
  name: nameOf(NAME_LENGTH)
    .exactOptional()
    .describe("name in the run, numbered when there are several; the model's when absent"),
  role: z
    .enum(['student', 'teacher'])
    .default('student')
    .describe('whether it learns, or is a frozen teacher of those that do'),
  weights: z
    .string()
    .min(1)
    .exactOptional()
    .describe("a teacher's weights: a safetensors file, or a run folder; trained first when absent"),
  backend: z
    .enum(BACKENDS)
    .default('auto')
    .describe('what computes; auto: the best that works; node: TensorFlow, with a GPU if one works'),
});

const peers = z
  .array(peer)
  .min(1)
  .meta({ expected: 'a list of at least one peer, each with its model' })
  .superRefine(rule(namesSuit))
  .prefault([{ model: 'cnn-s', count: 2 }])
  .describe('students of the run');

const compare = z
  .array(methodName)
  .superRefine(rule(methodsDiffer))
  .default([])
  .describe('methods that the same peers are also trained with, for comparison');

const seed = z
  .int()
  .min(0)
  .default(0)
  .describe('decides initial weights, order of samples, augmentation and label noise');

/** An experiment file. Unknown keys are errors; what is left out has a default, and an empty file is an experiment. */
export const experimentSchema = z
  .strictObject({
    // Short enough to be dated.
    name: nameOf(48).default('experiment').describe('names the folder of the run'),
    seed,
    data,
    training,
    distill,
    exchange,
    peers,
    compare,
  })
  .superRefine(rule(methodsSuitPeers))
  .superRefine(rule(copiesSuffice))
  .superRefine(rule(teachersCanTeach))
  .superRefine(rule(burnInEnds));

/** An experiment with all defaults filled in; durations in milliseconds. */
export type Experiment = z.infer<typeof experimentSchema>;

/** The sections that a coordinator tells its peers when they join, and that a peer validates. */
export const runSettingsSchema = z.strictObject({ seed, data, training, distill, exchange });

export type RunSettings = z.infer<typeof runSettingsSchema>;

export function runSettings({ seed, data, training, distill, exchange }: Experiment): RunSettings {
  return { seed, data, training, distill, exchange };
}
