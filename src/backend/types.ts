export type BackendName = 'tfjs-node-gpu' | 'tfjs-node' | 'wasm' | 'cpu';

/** Whether a backend would work here; the reason of a refusal is one line for the person at the terminal. */
export type Probe = { readonly usable: true } | { readonly usable: false; readonly reason: string };

/** A way to compute. */
export interface Backend {
  readonly name: BackendName;
  /** Whether `auto` may choose it. */
  readonly automatic: boolean;
  /** What to do when it does not work here, in one line; `null` when there is nothing to do. */
  readonly remedy: string | null;
  /** Finds out whether `load` would give what the name promises, without any effect on this process. */
  probe(): Promise<Probe>;
  /**
   * Makes this the backend of TensorFlow.js in this process.
   *
   * @returns the device in words, such as `wasm SIMD, 1 thread`
   */
  load(): Promise<string>;
}

export interface Refusal {
  readonly name: BackendName;
  readonly reason: string;
}

export interface LoadedBackend {
  readonly name: BackendName;
  readonly device: string;
  /** The backends that `auto` would have preferred but that do not work here, best first. */
  readonly refused: readonly Refusal[];
}
