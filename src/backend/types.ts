export type BackendName = 'tfjs-node-gpu' | 'webgpu' | 'tfjs-node' | 'wasm' | 'cpu';

/** Why something does not work here, and what to do about it; each is one line for the person at the terminal. */
export interface Refused {
  readonly usable: false;
  readonly reason: string;
  /** `null` when there is nothing to do. */
  readonly remedy: string | null;
}

/** Whether a backend would work here. */
export type Probe = { readonly usable: true } | Refused;

/** A way to compute. */
export interface Backend {
  readonly name: BackendName;
  /** Whether `auto` may choose it. */
  readonly automatic: boolean;
  /** Whether it computes on a GPU, of which one can be chosen. */
  readonly usesGpu: boolean;
  /**
   * Finds out whether `load` would give what the name promises, without any effect on this process.
   *
   * @param gpu the card to compute on, as `loadBackend` describes it
   */
  probe(gpu?: string): Promise<Probe>;
  /**
   * Makes this the backend of TensorFlow.js in this process.
   *
   * @param gpu the card to compute on, as `loadBackend` describes it
   * @returns the device in words, such as `wasm SIMD, 1 thread`
   */
  load(gpu?: string): Promise<string>;
}

/** A backend that `auto` would have preferred, and why it does not work here. */
export interface Refusal {
  readonly backend: BackendName;
  readonly reason: string;
}

export interface LoadedBackend {
  readonly name: BackendName;
  readonly device: string;
  /** Best first. */
  readonly refused: readonly Refusal[];
}
