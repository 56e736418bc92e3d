import { z } from 'zod';
import { BATCH_DIGEST_BYTES } from './batchDigest.ts';
import { NONCE_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './identity.ts';
import { MAX_CHECKPOINT_BYTES, MAX_CLASSES, MAX_ENCODINGS, MAX_LAYERS } from './limits.ts';

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

/** How the predictions of several teachers become one target, see src/ensemble; `apart`: they do not. */
export const ENSEMBLES = [
  'mean-probabilities',
  'mean-logits',
  'trimmed-mean',
  'median',
  'min-logit',
  'best',
  'linear',
  'weighted',
  'apart',
] as const;

/** What runs and peers are called. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** The longest of their names. */
export const NAME_LENGTH = 64;
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

const codec = pattern(/^[a-z][a-z0-9]{0,15}$/);

/** A tensor `[rows, classes]` as bytes: little-endian, row-major, in the encoding that `codec` names. */
const tensorFields = {
  codec,
  shape: z.tuple([positive, classCount], { error: 'an array of two integers' }),
  data: bytes,
};
const tensor = z.object(tensorFields, { error: 'a map' });

/** A layer of a network, and how a sender reduces it: see src/distill/encoders. */
const encodingFields = {
  layer: pattern(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/),
  encoder: pattern(/^[a-z][a-z0-9-]{0,31}@[0-9]{1,3}$/),
};
const list = <T extends z.ZodType>(item: T, most: number, what: string) =>
  z.array(item, { error: `an array of at most ${most} ${what}` }).max(most);
const wantedEncodings = list(z.object(encodingFields, { error: 'a map' }), MAX_ENCODINGS, 'maps');
const encodings = list(
  z.object(
    { ...encodingFields, codec, shape: list(positive, 4, 'integers').min(1), data: bytes },
    { error: 'a map' },
  ),
  MAX_ENCODINGS,
  'maps',
);
/** Sizes of a network's layers without the batch, by layer. */
const layers = z
  .record(encodingFields.layer, list(positive, 3, 'integers').min(1), { error: 'a map' })
  .refine((map) => Object.keys(map).length <= MAX_LAYERS, { error: `a map of at most ${MAX_LAYERS} layers` });

/** What a student's method needs of its teachers; equal on all students of a run. */
const wants = z.object(
  {
    logits: z.boolean({ error: 'true or false' }),
    /** How the logits of several teachers become one target. */
    ensemble: oneOf(ENSEMBLES),
    /** Whether the student's own logits count among them. */
    includesSelf: z.boolean({ error: 'true or false' }),
    /** Divides logits before a softmax. */
    temperature: z.number({ error: 'a number above 0' }).positive(),
    encodings: wantedEncodings,
  },
  { error: 'a map' },
);
export type Wants = z.infer<typeof wants>;
export type WireEncoding = z.infer<typeof encodings>[number];

const role = oneOf(['student', 'teacher']);

/** Tells the weights that one student is sent from those that others are. */
const request = count;

/** A piece of a peer's weights, the bytes of a safetensors file. Pieces come in order. */
const checkpointFields = {
  /** Updates that the weights have had. */
  step: count,
  offset: count,
  /** Of the whole file, in bytes. */
  size: integer(1, MAX_CHECKPOINT_BYTES),
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

const evaluationFields = {
  accuracy: fraction,
  nll: finite,
  ece: fraction,
  brier: z.number({ error: 'a number from 0 to 2' }).min(0).max(2).optional(),
  /** Absent with five classes or fewer. */
  top5: fraction.optional(),
};

const peerMessages = [
  /** peer -> coordinator, first on every connection. Answered by `welcome`, `challenge`, or a close code. */
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
    /** A `teacher` does not learn: it only tells what it predicts. Absent: a student. */
    role: role.optional(),
    /** An Ed25519 public key: the name shall be this key's alone. */
    identity: bytesOf(PUBLIC_KEY_BYTES).optional(),
  }),
  /** peer -> coordinator, answers `challenge`: that it has the private key. Answered by `welcome`, or a close code. */
  z.object({
    type: z.literal('proof'),
    /** Of `identityText`. */
    signature: bytesOf(SIGNATURE_BYTES),
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
    /** Steps that it has done, when it goes on with earlier work; absent: none yet. */
    step: count.optional(),
    /** The backends that this peer would have preferred, best first, and why they do not work there. */
    refused: refusedBackends.optional(),
    /** What this student's method needs; absent when no other peer teaches it. */
    wants: wants.optional(),
    /** The layers of this peer's network that an encoding can be made of. */
    layers: layers.optional(),
    /** Whether this student sends its weights when it is asked to. Absent: no. */
    lends: z.boolean({ error: 'true or false' }).optional(),
    /** Whether it wants to begin with the weights of another student, which come before `start`. Absent: no. */
    wantsWeights: z.boolean({ error: 'true or false' }).optional(),
  }),
  /**
   * peer -> coordinator: what it has to say about one batch. Answered by `target` or `noTarget`, and where the peer is a
   * teacher by `advance`. A student whose teachers are others than the students sends the rows alone.
   */
  z.object({
    type: z.literal('logits'),
    ...rowFields,
    step: count,
    logits: tensor.optional(),
    encodings: encodings.optional(),
    /** True classes of the rows, uint16 little-endian; for ensembles that need them. */
    labels: bytes.optional(),
  }),
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
  /**
   * student -> coordinator: with `request`, the answer to `sendWeights`, for one other student; without, where weights are
   * exchanged instead of predictions, for all of them. Passed on.
   */
  z.object({ type: z.literal('checkpoint'), request: request.optional(), ...checkpointFields }),
  /** student -> coordinator, answers a `checkpoint` with a `request`: answered by the next piece, or by `start`. */
  z.object({
    type: z.literal('received'),
    request,
    /** How many of the file's bytes are here. */
    bytes: count,
    /** Why they are of no use; absent where they are. */
    problem: text.optional(),
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
  /** coordinator -> peer, answers a `hello` with `identity`: sign this. */
  z.object({ type: z.literal('challenge'), run: name, nonce: bytesOf(NONCE_BYTES) }),
  /** coordinator -> peer, answers `hello`, or the `proof` of its identity. */
  z.object({
    type: z.literal('welcome'),
    protocol,
    run: name,
    /** The name this peer has in the run: its own, or one chosen for it. */
    name,
    /** The model it trains: its own choice, or that of the place it took. */
    model: label,
    /** Milliseconds from one WebSocket ping of the coordinator to the next; absent: 5,000. */
    pingEvery: positive.optional(),
    /** The experiment's sections that every peer shares; validated by the experiment's schema, not here. */
    experiment: z.record(z.string(), z.unknown(), { error: 'a map' }),
  }),
  /** coordinator -> peer: every expected peer is ready; train. Names in the fixed order of sums. */
  z.object({
    type: z.literal('start'),
    peers: z.array(name, { error: 'an array of 1 to 1024 names' }).min(1).max(1024),
    /** The step to begin with, or to go on with; absent: 0. */
    step: count.optional(),
    /** Who teaches this peer, and the layers of each. */
    teachers: list(z.object({ name, model: label, layers }, { error: 'a map' }), 1024, 'maps').optional(),
    /** What the students need of this peer; absent when it teaches nobody. */
    wants: wants.optional(),
    /** To one that wanted weights: whose it begins with, which have come whole. */
    weights: z.object({ peer: name, step: count, accuracy: fraction }, { error: 'a map' }).optional(),
    /** To one that wanted weights: why it begins with its own. */
    noWeights: text.optional(),
  }),
  /** coordinator -> student: send the piece of your weights that begins at `offset` to another student. */
  z.object({
    type: z.literal('sendWeights'),
    request,
    /** Who gets them. */
    peer: name,
    /** 0: of the weights as they are now. Absent: no more is needed. Otherwise those that came before go on. */
    offset: count.optional(),
  }),
  /** coordinator -> student, answers `logits`: what its teachers say about the same rows. */
  z.object({
    type: z.literal('target'),
    ...rowFields,
    teachers: positive,
    /** Their predictions as one target. */
    logits: tensor.optional(),
    /** Of the one teacher, where the method compares features. */
    encodings: encodings.optional(),
    /** Instead of both, each teacher's by itself, in the order of their names. */
    apart: list(
      z.object({ logits: tensor.optional(), encodings: encodings.optional() }, { error: 'a map' }),
      1024,
      'maps',
    ).optional(),
  }),
  /** coordinator -> teacher, answers `logits`: the round is closed; go on with the next one, or with `nextRound`. */
  z.object({ type: z.literal('advance'), round: count, nextRound: count.optional() }),
  /** coordinator -> student, answers `logits`: this round has no target; train on the labels alone. */
  z.object({
    type: z.literal('noTarget'),
    round: count,
    reason: oneOf(['noTeachers', 'quorum', 'late', 'refused']),
    detail: text,
    /** Given with `late`: the round that the others are at, to go on with. */
    nextRound: count.optional(),
  }),
  /** coordinator -> student: a piece of another one's weights, as it was sent. */
  z.object({ type: z.literal('checkpoint'), peer: name, request: request.optional(), ...checkpointFields }),
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
