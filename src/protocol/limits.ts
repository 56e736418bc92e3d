/** The largest frame before `hello` was accepted. */
export const PRE_AUTH_FRAME_BYTES = 4096;

/** The largest frame of all, whatever a run's shapes are. */
export const MAX_FRAME_BYTES = 16 * 1024 ** 2;

/** The most bytes of `data` and `labels` together in one `predictions` message. */
export const PREDICTIONS_CHUNK_BYTES = 1024 ** 2;

/** Room for everything of a message but its tensor. */
export const HEADER_BYTES = 2048;

/** The most values in one tensor: a decoded one is never larger than the largest frame. */
export const MAX_TENSOR_VALUES = MAX_FRAME_BYTES / 4;

/** The most encodings of features in one message. */
export const MAX_ENCODINGS = 16;

/** The most final logits of a peer, `testSize` times `classes`: the coordinator keeps them until the end of the run. */
export const MAX_PREDICTIONS = 2 ** 26;

/** The most layers of one network: those of many teachers go into one `start`. */
export const MAX_LAYERS = 64;

/** The most bytes of `data` in one `checkpoint` message. */
export const CHECKPOINT_CHUNK_BYTES = 1024 ** 2;

/** The bytes of weights that a student sends to another one at a time: its predictions wait behind no more than these. */
export const WEIGHTS_PIECE_BYTES = 256 * 1024;

/** The largest weights that peers exchange. */
export const MAX_CHECKPOINT_BYTES = 1024 ** 3;

/** Classes are written as uint16. */
export const MAX_CLASSES = 2 ** 16;

/**
 * The largest frame that a peer may send once it is `ready`: one batch of logits as float32 and a quarter more, or one
 * chunk of predictions, whichever is larger.
 */
export function frameLimit(rows: number, classes: number): number {
  const tensor = Math.ceil(rows * classes * 4 * 1.25);
  return Math.min(MAX_FRAME_BYTES, HEADER_BYTES + Math.max(tensor, PREDICTIONS_CHUNK_BYTES));
}

/** How many rows of predictions, with their labels, fit into one chunk in any codec. */
export function predictionChunkRows(classes: number): number {
  return Math.floor(PREDICTIONS_CHUNK_BYTES / (classes * 4 + 2));
}
