import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openNdjson, writeFileAtomic } from '../src/results/files.ts';
import type { EventRecord, MetricsRecord } from '../src/results/types.ts';

type Untimed<T> = T extends unknown ? Omit<T, 'time'> : never;

/** Writes a run folder: what happens as it happens, the result at the end. What comes after that is not recorded. */
export interface Recorder {
  event(record: Untimed<EventRecord>): void;
  metrics(record: Untimed<MetricsRecord>): void;
  /** Ends the logs and writes `summary.json`. */
  close(summary: unknown): Promise<void>;
}

/** @param experiment as resolved, for `experiment.json` */
export async function openRecorder(folder: string, experiment: unknown): Promise<Recorder> {
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

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
