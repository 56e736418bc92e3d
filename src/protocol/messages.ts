import { z } from 'zod';
import { BATCH_DIGEST_BYTES } from './batchDigest.ts';
import { MAX_CLASSES } from './limits.ts';

/** The version of this protocol; also part of the WebSocket subprotocol's name. */
export const PROTOCOL_VERSION = 1;
export const SUBPROTOCOL = `codistill.v${PROTOCOL_VERSION}`;

// Each schema's `error` says what is expected; an error message puts it between the field's path and what came.
const integer = (least: number, most = 2 ** 31 - 1) =>
  z
    .int({ error: `an integer from ${least} to ${most}` })
    .min(least)
    .max(most);
const pattern = (regex: RegExp) => z.string({ error: `a string that matches ${regex}` }).regex(regex);
const oneOf = <const T extends readonly string[]>(names: T) =>
  z.enum(names, { error: `one of ${names.join(', ')}` });
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, { error: 'bytes' });
const bytesOf = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength === length, {
    error: `${length} bytes`,
  });

/** What runs and peers are called. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** The longest `label`, such as the name or path of a model. */
export const LABEL_LENGTH = 128;
/** The longest `text`, such as a reason. */
export const TEXT_LENGTH = 512;

const name = pattern(NAME_PATTERN);
const count = integer(0);
const positive = integer(1);
const classCount = integer(1, MAX_CLASSES);
const protocol = z.literal(PROTOCOL_VERSION, { error: `version ${PROTOCOL_VERSION}` });
const fraction = z.number({ error: 'a number from 0 to 1' }).min(0).max(1);
const finite = z.number({ error: 'a finite number' });
const label = z.string({ error: `a string of at most ${LABEL_LENGTH} characters` }).max(LABEL_LENGTH);
const text = z.string({ error: `a string of at most ${TEXT_LENGTH} characters` }).max(TEXT_LENGTH);
const refusedBackends = z
  .array(z.object({ backend: label, reason: text }, { error: 'a map' }), {
    error: 'an array of at most 8 maps',
  })
  .max(8);
const digest = pattern(/^[0-9a-f]{64}$/);

/** A tensor `[rows, classes]` as bytes: little-endian, row-major, in the encoding that `codec` names. */
const tensorFields = {
  codec: pattern(/^[a-z][a-z0-9]{0,15}$/),
  shape: z.tuple([positive, classCount], { error: 'an array of two integers' }),
  data: bytes,
};

/** Which samples a tensor's rows belong to. Rows of other samples must be impossible, so both ends compare all of it. */
const rowFields = {
  /** The step at which the batch was trained on: in lockstep, the round. */
  round: count,
  /** FNV-1a (64 bits, little-endian) of the batch's sample ids as uint32 little-endian: see `batchDigest`. */
  batch: bytesOf(BATCH_DIGEST_BYTES),
  /** The augmented view of the samples: `shared` is the same on every peer, `own` differs. */
  view: oneOf(['shared', 'own']),
};

const evaluationFields = { accuracy: fraction, nll: finite, ece: fraction };

const peerMessages = [
  /** peer -> coordinator, first on every connection. Answered by `welcome`, or a close code. */
  z.object({
    type: z.literal('hello'),
    protocol,
    /** Absent: the coordinator chooses one, and tells it in `welcome`. */
    name: name.optional(),
    /** Distinguishes two process lives of one peer. */
    incarnation: pattern(/^[A-Za-z0-9._-]{8,64}$/),
    /** Absent: the coordinator names the model of the place that this peer takes. */
    model: label.optional(),
    backend: label,
    device: label,
  }),
  /** peer -> coordinator, when its dataset and model are loaded. Answered by `start` once every expected peer is ready. */
  z.object({
    type: z.literal('ready'),
    /** What must be equal on all peers. */
    dataset: digest,
    classes: classCount,
    inputShape: z.tuple([positive, positive, positive], { error: 'an array of three integers' }),
    trainSize: positive,
    testSize: positive,
    /** What may differ. */
    parameters: count,
    /** The backends that this peer would have preferred, best first, and why they do not work there. */
    refused: refusedBackends.optional(),
  }),
  /** student -> coordinator: predictions for one batch. Answered by `target` or `noTarget`. */
  z.object({ type: z.literal('logits'), ...rowFields, step: count, ...tensorFields }),
  /** peer -> coordinator, about once a second: how training goes. Not answered. */
  z.object({
    type: z.literal('progress'),
    /** `evaluating`: a phase without exchange, in which nobody should take this peer's silence for a miss. */
    phase: oneOf(['training', 'evaluating']),
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
    event: oneOf(['collapsed', 'recovered']),
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
    outcome: oneOf(['finished', 'interrupted']),
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
    protocol,
    run: name,
    /** The name this peer has in the run: its own, or one chosen for it. */
    name,
    /** The model it trains: its own choice, or that of the place it took. */
    model: label,
    /** The experiment's sections that every peer shares; validated by the experiment's schema, not here. */
    experiment: z.record(z.string(), z.unknown(), { error: 'a map' }),
  }),
  /** coordinator -> peer: every expected peer is ready; train. Names in the fixed order of sums. */
  z.object({
    type: z.literal('start'),
    peers: z.array(name, { error: 'an array of 1 to 1024 names' }).min(1).max(1024),
  }),
  /** coordinator -> student, answers `logits`: what its teachers predicted for the same rows, as teacher logits. */
  z.object({ type: z.literal('target'), ...rowFields, teachers: positive, ...tensorFields }),
  /** coordinator -> student, answers `logits`: this round has no target; train on the labels alone. */
  z.object({
    type: z.literal('noTarget'),
    round: count,
    reason: oneOf(['noTeachers', 'quorum', 'late', 'refused']),
    detail: text,
    /** Given with `late`: the round that the others are at, to go on with. */
    nextRound: count.optional(),
  }),
  /** coordinator -> peer: the run is over and its results are saved; leave. */
  z.object({ type: z.literal('finished') }),
] as const;

function typesOf(schemas: readonly { readonly shape: { readonly type: z.ZodLiteral<string> } }[]): string {
  return `one of ${schemas.map(({ shape }) => shape.type.value).join(', ')}`;
}

export const PeerMessage = z.discriminatedUnion('type', peerMessages, { error: typesOf(peerMessages) });
export type PeerMessage = z.infer<typeof PeerMessage>;
export const CoordinatorMessage = z.discriminatedUnion('type', coordinatorMessages, {
  error: typesOf(coordinatorMessages),
});
export type CoordinatorMessage = z.infer<typeof CoordinatorMessage>;

/** The message of one type, such as `MessageOf<PeerMessage, 'logits'>`. */
export type MessageOf<M extends { type: string }, T extends M['type']> = Extract<M, { type: T }>;
