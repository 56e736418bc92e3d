import { z } from 'zod';

/** The version of this protocol; also part of the WebSocket subprotocol's name. */
export const PROTOCOL_VERSION = 1;
export const SUBPROTOCOL = `codistill.v${PROTOCOL_VERSION}`;

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
const count = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
const positive = count.min(1);
const fraction = z.number().min(0).max(1);
const finite = z.number();
const text = z.string().max(512);
const bytes = z.instanceof(Uint8Array);
const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** A tensor `[rows, classes]` as bytes: little-endian, row-major, in the encoding that `codec` names. */
const tensorFields = {
  codec: z.string().min(1).max(16),
  shape: z.tuple([positive, positive]),
  data: bytes,
};

/** Which samples a tensor's rows belong to. Rows of other samples must be impossible, so both ends compare all of it. */
const rowFields = {
  /** The step at which the batch was trained on: in lockstep, the round. */
  round: count,
  /** FNV-1a (64 bits, little-endian) of the batch's sample ids as uint32 little-endian: see `batchDigest`. */
  batch: bytes,
  /** The augmented view of the samples: `shared` is the same on every peer, `own` differs. */
  view: z.enum(['shared', 'own']),
};

const evaluationFields = { accuracy: fraction, nll: finite, ece: fraction };

const peerMessages = [
  /** peer -> coordinator, first on every connection. Answered by `welcome`, or a close code. */
  z.object({
    type: z.literal('hello'),
    protocol: z.int(),
    /** Absent: the coordinator chooses one, and tells it in `welcome`. */
    name: name.optional(),
    /** Distinguishes two process lives of one peer. */
    incarnation: z.string().min(8).max(64),
    model: text,
    backend: text,
    device: text,
  }),
  /** peer -> coordinator, when its dataset and model are loaded. Answered by `start` once every expected peer is ready. */
  z.object({
    type: z.literal('ready'),
    /** What must be equal on all peers. */
    dataset: digest,
    classes: positive,
    inputShape: z.tuple([positive, positive, positive]),
    trainSize: positive,
    testSize: positive,
    /** What may differ. */
    parameters: count,
    step: count,
  }),
  /** student -> coordinator: predictions for one batch. Answered by `target` or `noTarget`. */
  z.object({ type: z.literal('logits'), ...rowFields, step: count, ...tensorFields }),
  /** peer -> coordinator, about once a second: how training goes. Not answered. */
  z.object({
    type: z.literal('progress'),
    step: count,
    steps: positive,
    loss: finite,
    crossEntropy: finite,
    distillation: finite,
    accuracy: fraction,
    learningRate: finite,
    distillationWeight: finite,
    imagesPerSecond: finite,
    waitFraction: fraction,
  }),
  /** peer -> coordinator: quality on the whole test set after `step` steps. Not answered. */
  z.object({ type: z.literal('evaluation'), step: count, ...evaluationFields }),
  /** peer -> coordinator: something a person should know, such as a collapse. Not answered. */
  z.object({
    type: z.literal('notice'),
    event: z.enum(['collapsed', 'recovered']),
    step: count,
    reason: text,
  }),
  /** peer -> coordinator: final logits on the test set, in chunks of at most 1 MiB; `offset` is the first row's sample id. */
  z.object({
    type: z.literal('predictions'),
    offset: count,
    /** True classes of the rows, uint16 little-endian. */
    labels: bytes,
    ...tensorFields,
  }),
  /** peer -> coordinator: its work is over. Answered by `finished` once all peers are done. */
  z.object({
    type: z.literal('done'),
    outcome: z.enum(['finished', 'interrupted']),
    step: count,
    imagesPerSecond: finite,
    waitFraction: fraction,
    /** Mean duration of a step, in milliseconds, waiting included. */
    stepMs: finite,
    /** SHA-256 (hex) of the final weights file; absent when there is none. */
    weights: digest.optional(),
  }),
] as const;

const coordinatorMessages = [
  /** coordinator -> peer, answers `hello`. */
  z.object({
    type: z.literal('welcome'),
    protocol: z.int(),
    run: name,
    /** The name this peer has in the run: its own, or one chosen for it. */
    name,
    /** The experiment's sections that every peer shares; validated by the experiment's schema, not here. */
    experiment: z.record(z.string(), z.unknown()),
  }),
  /** coordinator -> peer: every expected peer is ready; train. Names in the fixed order of sums. */
  z.object({ type: z.literal('start'), peers: z.array(name).min(1).max(1024) }),
  /** coordinator -> student, answers `logits`: what its teachers predicted for the same rows, as teacher logits. */
  z.object({ type: z.literal('target'), ...rowFields, teachers: positive, ...tensorFields }),
  /** coordinator -> student, answers `logits`: this round has no target; train on the labels alone. */
  z.object({
    type: z.literal('noTarget'),
    round: count,
    reason: z.enum(['noTeachers', 'quorum', 'late', 'refused']),
    detail: text,
  }),
  /** coordinator -> peer: the run is over and its results are saved; leave. */
  z.object({ type: z.literal('finished') }),
] as const;

export const PeerMessage = z.discriminatedUnion('type', peerMessages);
export type PeerMessage = z.infer<typeof PeerMessage>;
export const CoordinatorMessage = z.discriminatedUnion('type', coordinatorMessages);
export type CoordinatorMessage = z.infer<typeof CoordinatorMessage>;

/** The message of one type, such as `MessageOf<PeerMessage, 'logits'>`. */
export type MessageOf<M extends { type: string }, T extends M['type']> = Extract<M, { type: T }>;
