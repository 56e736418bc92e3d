import { statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import type { MessageOf, PeerMessage } from '../protocol/messages.ts';
import { json, openNdjson, writeFileAtomic } from './files.ts';
import type { EventRecord, MetricsRecord } from './types.ts';

export type Untimed<T> = T extends unknown ? Omit<T, 'time'> : never;

/** Writes a run folder: what happens as it happens, the result at the end. What comes after that is not recorded. */
export interface Recorder {
  event(record: Untimed<EventRecord>): void;
  metrics(record: Untimed<MetricsRecord>): void;
  /** Ends the logs and writes `summary.json`. */
  close(summary: unknown): Promise<void>;
}

/** @throws {UsageError} when a run in the folder has got anywhere: no run is ever overwritten */
export function expectNoRun(folder: string): void {
  if (!statSync(join(folder, 'metrics.ndjson'), { throwIfNoEntry: false })?.size) return;
  throw new UsageError(`--dir ${folder}: expected a new folder, but it holds a run. Choose another one.`);
}

/**
 * @param experiment as resolved, for `experiment.json`
 * @throws {UsageError} when the folder holds a run
 */
export async function openRecorder(folder: string, experiment: unknown): Promise<Recorder> {
  expectNoRun(folder);
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(join(folder, 'experiment.json'), json(experiment));
  const events = openNdjson(join(folder, 'events.ndjson'));
  const metrics = openNdjson(join(folder, 'metrics.ndjson'));
  const stamped = (record: object): object => ({ time: new Date().toISOString(), ...record });
  let open = true;
  return {
    event(record) {
      if (open) events.append(stamped(record));
    },
    metrics(record) {
      if (open) metrics.append(stamped(record));
    },
    async close(summary) {
      open = false;
      await Promise.all([events.close(), metrics.close()]);
      await writeFileAtomic(join(folder, 'summary.json'), json(summary));
    },
  };
}

/** What `metrics.ndjson` keeps of a peer's report; `null` for a mere sign of life. */
export function metricsOf(
  peer: string,
  report: MessageOf<PeerMessage, 'progress' | 'evaluation'>,
): Untimed<MetricsRecord> | null {
  if (report.type === 'evaluation') {
    const { type, ...values } = report;
    return { kind: type, peer, ...values };
  }
  const { type, phase, ...values } = report;
  return phase === 'evaluating' ? null : { kind: type, peer, ...values };
}
