import type { Stage } from './stage.ts';

/** What a drill has measured. */
export interface Outcome {
  readonly passed: boolean;
  /** The number, with its unit, in a few words. */
  readonly measured: string;
}

/** One way in which something goes wrong, and what has to hold then. */
export interface Drill {
  readonly number: number;
  readonly title: string;
  /** The promises that it is about; the validator looks at all of them. */
  readonly promises: readonly string[];
  readonly criterion: string;
  /** Takes long: it runs when asked for. */
  readonly long?: true;
  run(stage: Stage): Promise<Outcome>;
}
