import { receive } from '../../../coordinator/run.ts';
import type { Run, RunEffect } from '../../../coordinator/runState.ts';
import { float32 } from '../../../src/codec/float32.ts';
import type { RunSettings } from '../../../src/config/schema.ts';
import { createRandom } from '../../../src/random.ts';
import { batchOf, readyWith, rowsOf, settingsWith, startedRun } from '../support.ts';

/** What a peer says about the batch of a round, `[rows, classes]`. */
export type Speaker = (round: number) => Float32Array;

export interface Shape {
  readonly rows: number;
  readonly classes: number;
}

export const SHAPE: Shape = { rows: 32, classes: 10 };

/** The true classes of the batch of a round. */
function labelsOf(round: number, { rows, classes }: Shape): number[] {
  const random = createRandom('labels', round);
  return Array.from({ length: rows }, () => random.below(classes));
}

/** A peer that is right about `accuracy` of the samples, and as sure as `scale` makes it: logits of that size. */
export function honest(name: string, shape = SHAPE, { accuracy = 0.85, scale = 4 } = {}): Speaker {
  return (round) => {
    const random = createRandom('honest', name, round);
    const said = labelsOf(round, shape).map((label) =>
      random.uniform() < accuracy ? label : random.below(shape.classes),
    );
    return Float32Array.from({ length: shape.rows * shape.classes }, (_, i) => {
      const isSaid = i % shape.classes === said[Math.floor(i / shape.classes)];
      return 2 * random.uniform() + (isSaid ? scale : 0);
    });
  };
}

/** The classes of what `speaker` says renamed: what it says of class `c` becomes that of `names[c]`. */
export function renamed(speaker: Speaker, names: readonly number[]): Speaker {
  const classes = names.length;
  return (round) => {
    const said = speaker(round);
    const out = new Float32Array(said.length);
    for (const [i, value] of said.entries()) out[i - (i % classes) + names[i % classes]!] = value;
    return out;
  };
}

/** `size` where the largest logit of a row is, 0 elsewhere. */
export function oneHot(speaker: Speaker, { classes }: Shape, size: number): Speaker {
  return (round) => {
    const said = speaker(round);
    return said.map((value, i) => {
      const start = i - (i % classes);
      return value === Math.max(...said.subarray(start, start + classes)) ? size : 0;
    });
  };
}

/** The settings of a run whose batches have as many rows. */
export function settingsFor({ rows }: Shape, exchange: object = {}): RunSettings {
  const settings = settingsWith(exchange);
  return { ...settings, data: { ...settings.data, batchSize: rows } };
}

export function runOf(names: readonly string[], shape = SHAPE, exchange: object = {}): Run {
  return startedRun(
    names,
    settingsFor(shape, exchange),
    readyWith({ classes: shape.classes, trainSize: 100_000 }),
  );
}

/** Every peer says something about one round, in this order. */
export function playRound(
  run: Run,
  round: number,
  speakers: Readonly<Record<string, Speaker>>,
  { shape = SHAPE, order = Object.keys(speakers), batch = batchOf(round) } = {},
): RunEffect[] {
  return order.flatMap((name) => {
    const said = speakers[name]!(round);
    const data = float32.encode(said, shape.rows, shape.classes);
    const logits = { codec: 'float32', shape: [shape.rows, shape.classes] as [number, number], data };
    return receive(run, name, rowsOf(round, { batch, logits }), 0);
  });
}

/** Plays rounds; who entered or left quarantine, as `12 quarantined a constant`. */
export function play(
  run: Run,
  rounds: number,
  speakers: Readonly<Record<string, Speaker>>,
  { shape = SHAPE, first = 0 } = {},
): string[] {
  return Array.from({ length: rounds }, (_, i) => first + i).flatMap((round) =>
    verdictsOf(playRound(run, round, speakers, { shape })),
  );
}

export function verdictsOf(effects: readonly RunEffect[]): string[] {
  return effects.flatMap((effect) => {
    if (effect.type !== 'event') return [];
    const { event, peer, round, reason } = effect.record;
    if (event !== 'quarantined' && event !== 'released') return [];
    return [`${round} ${event} ${peer} ${event === 'released' ? '' : reason!.split(':')[0]}`.trim()];
  });
}
