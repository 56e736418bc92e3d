/** Height, width, channels. */
export type ImageShape = readonly [height: number, width: number, channels: number];

/** Images and labels of one split; sample `i` has the id `i`. */
export interface ImageSet {
  readonly count: number;
  /** Pixels 0-255, `[count, height, width, channels]`, row-major. */
  readonly images: Uint8Array;
  /** Class of each sample, `[count]`. */
  readonly labels: Uint16Array;
}

/** A labelled image dataset in memory: typed arrays and metadata, no tensors. */
export interface Dataset {
  readonly name: string;
  readonly imageShape: ImageShape;
  readonly classNames: readonly string[];
  /** Per-channel mean and standard deviation of the training pixels, on the scale 0-1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly train: ImageSet;
  readonly test: ImageSet;
  /** Where it was read from, for people. */
  readonly source: string;
  /** SHA-256 (hex) over shape, class count, pixels and labels of both splits: equal on peers that hold the same samples. */
  readonly digest: string;
}
