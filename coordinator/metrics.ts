import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { ConnectionCounts } from './admission.ts';
import type { Connection } from './connections.ts';
import { byName } from './members.ts';
import type { Run } from './runState.ts';
import { summariseTraffic } from './traffic.ts';
import { waitsOf } from './waits.ts';

/** What the metrics are read from. */
export interface MetricsSource {
  readonly run: Run;
  readonly now: () => number;
  readonly startedAtMs: number;
  readonly connections: ReadonlyMap<number, Connection>;
  readonly counts: ConnectionCounts;
  /** Bytes held for peers. */
  readonly heldBytes: () => number;
}

/** One metric with its samples. Every label has few values: names of peers, reasons, codes. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** How often the delay of the event loop is looked at, in milliseconds. */
const DELAY_RESOLUTION_MS = 10;

/** Makes the page at `/metrics`. The library is loaded when it is first asked for: the coordinator starts without it. */
export function createMetrics(source: MetricsSource): {
  read(): Promise<{ readonly type: string; readonly text: string }>;
  close(): void;
} {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  return {
    async read() {
      const { Counter, Gauge, Registry } = await import('prom-client');
      const registry = new Registry();
      for (const { name, help, type, samples } of [...metricsOf(source), delayMetric(delay)]) {
        const labelNames = Object.keys(samples[0]?.[0] ?? {});
        const options = { name: `codistill_${name}`, help, labelNames, registers: [registry] };
        const metric = type === 'counter' ? new Counter(options) : new Gauge(options);
        for (const [labels, value] of samples) metric.inc(labels, value);
      }
      delay.reset();
      return { type: registry.contentType, text: await registry.metrics() };
    },
    close: () => delay.disable(),
  };
}

function metricsOf(source: MetricsSource): Metric[] {
  return [...runMetrics(source), ...trafficMetrics(source), ...processMetrics(source)];
}

function runMetrics({ run, now, startedAtMs }: MetricsSource): Metric[] {
  const members = byName(run.members);
  const states = ['joining', 'ready', 'training', 'done', 'lost'];
  const waits = waitsOf(run, now(), startedAtMs);
  return [
    gauge('phase', 'What the run is doing: 1 for that phase.', [
      ...['waiting', 'training', 'finished'].map((phase): Sample => [{ phase }, run.phase === phase ? 1 : 0]),
    ]),
    counter('rounds_committed_total', 'Rounds that gave at least one student a target.', [
      [{}, run.committed],
    ]),
    counter(
      'targets_missed_total',
      'Times that a student was answered without a target, by reason.',
      Object.entries(run.missed).map(([reason, times]): Sample => [{ reason }, times]),
    ),
    gauge('rounds_open', 'Rounds that have not closed yet.', [[{}, run.rounds.open.size]]),
    gauge(
      'peers',
      'Peers of the run, by state.',
      states.map((state): Sample => [{ state }, members.filter((member) => member.state === state).length]),
    ),
    gauge(
      'peer_step',
      'Steps that a peer has done, as it last told.',
      members.map(({ name, progress }): Sample => [{ peer: name }, progress?.step ?? 0]),
    ),
    gauge(
      'wait_seconds',
      'How long the run has waited for a peer, and what for; nothing while it does not wait.',
      waits.flatMap(({ kind, peers, seconds }) =>
        peers.map((peer): Sample => [{ kind, peer }, seconds ?? 0]),
      ),
    ),
  ];
}

function trafficMetrics({ run, connections, counts }: MetricsSource): Metric[] {
  const members = byName(run.members);
  const { frames, contributions, answers, pieces } = summariseTraffic(run);
  const byReason = (tally: Readonly<Record<string, number>>): Sample[] =>
    Object.entries(tally).map(([reason, times]) => [{ reason }, times]);
  const byCode = (ends: ReadonlyMap<string, number>): Sample[] =>
    [...ends].map(([code, times]) => [{ code }, times]);
  const joined = [...connections.values()].filter(({ peer }) => peer !== null);
  return [
    gauge('connections', 'Open connections: of peers, and of those that have not said hello.', [
      [{ kind: 'peer' }, joined.length],
      [{ kind: 'stranger' }, connections.size - joined.length],
    ]),
    counter(
      'handshakes_refused_total',
      'Connections that never became a peer, by close code; 403, 429, 503: turned away before.',
      byCode(counts.refused),
    ),
    counter(
      'connections_closed_total',
      'Connections of peers that ended, by close code.',
      byCode(counts.closed),
    ),
    counter(
      'peer_received_bytes_total',
      'Bytes of the frames that came from a peer.',
      members.map(({ name, bytesUp }): Sample => [{ peer: name }, bytesUp]),
    ),
    counter(
      'peer_sent_bytes_total',
      'Bytes of the frames that were sent to a peer.',
      members.map(({ name, bytesDown }): Sample => [{ peer: name }, bytesDown]),
    ),
    gauge(
      'peer_queue_bytes',
      'Bytes that wait for a peer to read them.',
      joined.map((connection): Sample => [{ peer: connection.peer! }, connection.queuedBytes()]),
    ),
    counter('frames_received_total', 'Frames that came.', [[{}, frames.received]]),
    counter('frames_accepted_total', 'Frames that were accepted.', [[{}, frames.accepted]]),
    counter('frames_refused_total', 'Frames that were not accepted, by reason.', byReason(frames.refused)),
    counter('contributions_received_total', 'What peers said about a batch.', [[{}, contributions.received]]),
    counter('contributions_committed_total', 'Contributions to rounds that gave a target.', [
      [{}, contributions.committed],
    ]),
    counter(
      'contributions_unused_total',
      'Contributions that nobody learned from, by reason.',
      byReason(contributions.unused),
    ),
    counter('answers_total', 'Answers to contributions, by kind.', [
      [{ kind: 'target' }, answers.targets],
      [{ kind: 'noTarget' }, answers.noTargets],
      [{ kind: 'advance' }, answers.advances],
      [{ kind: 'undelivered' }, answers.undelivered],
    ]),
    counter('targets_replaced_total', 'Targets that gave way to a newer one before they were read.', [
      [{}, answers.replaced],
    ]),
    counter('checkpoint_pieces_dropped_total', 'Pieces of weights that a slow reader had no room for.', [
      [{}, pieces.dropped],
    ]),
  ];
}

function processMetrics({ now, startedAtMs, heldBytes }: MetricsSource): Metric[] {
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return [
    gauge('uptime_seconds', 'Time since the coordinator started.', [[{}, (now() - startedAtMs) / 1000]]),
    gauge('held_bytes', 'What is held for peers, against --max-memory.', [[{}, heldBytes()]]),
    gauge('memory_bytes', "Memory of the process: resident, of JavaScript's heap, of buffers.", [
      [{ kind: 'resident' }, rss],
      [{ kind: 'heap' }, heapUsed],
      [{ kind: 'buffers' }, arrayBuffers],
    ]),
  ];
}

function delayMetric(delay: IntervalHistogram): Metric {
  const seconds = (nanoseconds: number): number =>
    Math.max(0, nanoseconds / 1e9 - DELAY_RESOLUTION_MS / 1000) || 0;
  return gauge('event_loop_delay_seconds', 'How late timers fire, since this page was last read.', [
    [{ quantile: '0.5' }, seconds(delay.percentile(50))],
    [{ quantile: '0.99' }, seconds(delay.percentile(99))],
    [{ quantile: '1' }, seconds(delay.max)],
  ]);
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, help, type: 'gauge', samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, help, type: 'counter', samples };
}
