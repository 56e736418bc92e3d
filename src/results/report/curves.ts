import { methodsOf } from '../compare.ts';
import { count, decimal, percent } from '../format.ts';
import type { MetricsRecord, RunSummary } from '../types.ts';

/** One line of a chart. The same peer has the same colour under every method. */
export interface Line {
  readonly label: string;
  /** Index of the peer in the palette. */
  readonly color: number;
  /** Lengths of dash and gap in pixels; empty for a solid line. */
  readonly dash: readonly number[];
}

/** Curves over training steps, in the layout that uPlot draws. */
export interface Chart {
  readonly id: string;
  readonly title: string;
  /** What the curves are and how they end, for those who do not see them. */
  readonly description: string;
  readonly percent: boolean;
  readonly lines: readonly Line[];
  /** The steps, then the values of each line at these steps; null where a line has none. */
  readonly data: readonly (readonly (number | null)[])[];
}

/** Points of one line beyond which neighbours are averaged: more than a screen shows. */
const MAX_POINTS = 200;
const DASHES: readonly (readonly number[])[] = [[], [7, 5], [2, 4], [12, 4, 2, 4]];

type Metrics = Readonly<Record<string, readonly MetricsRecord[]>>;

interface Curve {
  readonly id: string;
  readonly title: string;
  readonly percent: boolean;
  /** The value that a record adds to the curve. */
  readonly value: (record: MetricsRecord) => number | null;
}

const CURVES: readonly Curve[] = [
  {
    id: 'accuracy',
    title: 'Test accuracy',
    percent: true,
    value: (record) => (record.kind === 'evaluation' ? record.accuracy : null),
  },
  {
    id: 'nll',
    title: 'Test negative log-likelihood (nats; lower is better)',
    percent: false,
    value: (record) => (record.kind === 'evaluation' ? record.nll : null),
  },
  {
    id: 'loss',
    title: 'Training loss: cross-entropy to the labels (nats)',
    percent: false,
    value: (record) => (record.kind === 'progress' ? record.crossEntropy : null),
  },
];

/** The charts of a run; those without a single point are left out. */
export function chartsOf(summary: RunSummary, metrics: Metrics): Chart[] {
  return CURVES.map((curve) => chartOf(curve, summary, metrics)).filter(({ lines }) => lines.length > 0);
}

function chartOf(curve: Curve, summary: RunSummary, metrics: Metrics): Chart {
  const drawn = methodsOf(summary).flatMap(({ method }, methodIndex) =>
    summary.peers.flatMap(({ name }, color) => {
      const points = thin(pointsOf(curve, name, metrics[method] ?? []));
      const line: Line = { label: `${name} ${method}`, color, dash: DASHES[methodIndex % DASHES.length]! };
      return points.length === 0 ? [] : [{ line, points }];
    }),
  );
  const steps = [...new Set(drawn.flatMap(({ points }) => points.map(([step]) => step)))].sort(
    (a, b) => a - b,
  );
  const columns = drawn.map(({ points }) => {
    const byStep = new Map(points);
    return steps.map((step) => byStep.get(step) ?? null);
  });
  const show = (value: number): string => (curve.percent ? percent(value) : decimal(value, 3));
  const ends = drawn.map(({ line, points }) => `${line.label} ${show(points.at(-1)![1])}`);
  return {
    id: curve.id,
    title: curve.title,
    percent: curve.percent,
    description: `${curve.title} over ${count(steps.at(-1) ?? 0)} training steps. At the end: ${ends.join(', ')}.`,
    lines: drawn.map(({ line }) => line),
    data: [steps, ...columns],
  };
}

/** A peer's `[step, value]` in order; of a step that was done twice, after a restart, the later record. */
function pointsOf({ value }: Curve, peer: string, records: readonly MetricsRecord[]): [number, number][] {
  const byStep = new Map<number, number>();
  for (const record of records) {
    const y = record.peer === peer ? value(record) : null;
    if (y !== null && Number.isFinite(y)) byStep.set(record.step, y);
  }
  return [...byStep].sort(([a], [b]) => a - b);
}

/** Means of neighbours, each at the last step of its group. */
function thin(points: [number, number][]): [number, number][] {
  const group = Math.ceil(points.length / MAX_POINTS);
  if (group <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / group) }, (_, i) => {
    const part = points.slice(i * group, (i + 1) * group);
    return [part.at(-1)![0], part.reduce((sum, [, y]) => sum + y, 0) / part.length];
  });
}
