import { join } from 'node:path';
import { messageOf } from '../../src/errors.ts';
import type { Drill, Outcome } from './drill.ts';
import { createStage } from './stage.ts';
import { type Violation, validate } from './validator.ts';

/** How a drill went. */
export interface Result extends Outcome {
  readonly number: number;
  readonly title: string;
  readonly promises: readonly string[];
  readonly criterion: string;
  readonly violations: readonly Violation[];
  readonly seed: number;
  readonly seconds: number;
  /** Where its history and logs are. */
  readonly folder: string;
}

/**
 * Plays a drill and judges it: by its own criterion, and by what the history of it says about all promises.
 *
 * @param folder of all drills; the drill's own is made in it
 * @param minutes how long those go on that can be of any length; `null`: their own
 */
export async function runDrill(
  drill: Drill,
  folder: string,
  seed = 0,
  minutes: number | null = null,
): Promise<Result> {
  const own = join(folder, `drill-${drill.number}-seed-${seed}`);
  const stage = createStage(seed, minutes, own);
  const startedAt = performance.now();
  let outcome: Outcome;
  try {
    outcome = await drill.run(stage);
  } catch (error) {
    outcome = { passed: false, measured: messageOf(error) };
  }
  await stage.end();
  stage.history.save(join(own, 'history.jsonl'));
  const violations = validate(stage.history.records);
  const { number, title, promises, criterion } = drill;
  return {
    ...{ number, title, promises, criterion, seed, folder: own, violations },
    measured: outcome.measured,
    passed: outcome.passed && violations.length === 0,
    seconds: (performance.now() - startedAt) / 1000,
  };
}
