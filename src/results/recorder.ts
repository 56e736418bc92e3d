import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { MessageOf, PeerMessage } from '../protocol/messages.ts';
import { json, makeFolder, writeFileAtomic } from './files.ts';
import { type NdjsonListener, openNdjson } from './ndjson.ts';
import type { EventRecord, MetricsRecord } from './types.ts';

export type Untimed<T> = T extends unknown ? Omit<T, 'time'> : never;

/** Writes a run folder: what happens as it happens, the result at the end. What comes after that is not recorded. */
export interface Recorder {
  event(record: Untimed<EventRecord>): void;
  metrics(record: Untimed<MetricsRecord>): void;
  /**
   * Ends the logs and writes `summary.json`.
   *
   * @throws {StorageError} when one of them could not be saved; a summary that could not is in the log
   */
  close(summary: unknown): Promise<void>;
}

/** Whether a run in the folder has got anywhere. */
export function hasMetrics(folder: string): boolean {
  return (statSync(join(folder, 'metrics.ndjson'), { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** @throws {UsageError} when a run in the folder has got anywhere: no run is ever overwritten */
export function expectNoRun(folder: string): void {
  if (!hasMetrics(folder)) return;
  throw new UsageError(
    `--dir ${folder}: expected a new folder, but it holds a run. Choose another one, or go on with that run: codistill run --resume ${folder}`,
  );
}

/** The log record with a summary that could not be saved. */
export const SUMMARY_NOT_SAVED = 'summary not saved';

/**
 * A disk that is full or read-only does not end a run: what is recorded waits for it. That is said once, as an event and
 * in the log, and again when it is over.
 *
 * @param experiment as resolved, for `experiment.json`
 * @param goesOn whether the folder holds a run that is to go on: what is recorded is added to what is there
 * @throws {UsageError} when the folder holds a run that is not to go on, or one of another experiment;
 *   {@link StorageError} when it cannot be written
 */
export async function openRecorder(
  folder: string,
  experiment: unknown,
  {
    goesOn = false,
    logger,
  }: { readonly goesOn?: boolean; readonly logger?: Pick<Logger, 'error' | 'info'> } = {},
): Promise<Recorder> {
  await makeFolder(folder);
  if (goesOn) await expectSameExperiment(folder, experiment);
  else {
    expectNoRun(folder);
    await writeFileAtomic(join(folder, 'experiment.json'), json(experiment));
  }
  let open = true;
  const stamped = (record: object): object => ({ time: new Date().toISOString(), ...record });
  const event = (record: Untimed<EventRecord>): void => {
    if (open) events.append(stamped(record));
  };
  const listener = (file: string): NdjsonListener => ({
    failed({ message }) {
      logger?.error({ reason: message }, 'results not saved');
      event({ event: 'unsaved', reason: message });
    },
    recovered(lost) {
      logger?.info({ file, lost }, 'results saved again');
      event({ event: 'saved', reason: lost === 0 ? file : `${file}, without ${lost} lines` });
    },
  });
  const events = openNdjson(join(folder, 'events.ndjson'), listener('events.ndjson'));
  const metrics = openNdjson(join(folder, 'metrics.ndjson'), listener('metrics.ndjson'));
  return {
    event,
    metrics(record) {
      if (open) metrics.append(stamped(record));
    },
    async close(summary) {
      open = false;
      const logs = await Promise.allSettled([events.close(), metrics.close()]);
      try {
        await writeFileAtomic(join(folder, 'summary.json'), json(summary));
      } catch (error) {
        logger?.error({ summary }, SUMMARY_NOT_SAVED);
        throw error;
      }
      for (const log of logs) if (log.status === 'rejected') throw log.reason;
    },
  };
}

async function expectSameExperiment(folder: string, experiment: unknown): Promise<void> {
  const kept = JSON.parse(await readFile(join(folder, 'experiment.json'), 'utf8')) as object;
  const given = JSON.parse(json(experiment)) as object;
  const parts = Object.keys({ ...kept, ...given }) as (keyof typeof kept)[];
  const other = parts.filter((part) => !isDeepStrictEqual(kept[part], given[part]));
  if (other.length === 0) return;
  throw new UsageError(
    `--dir ${folder}: expected the experiment of the run that it holds, but ${other.join(', ')} differ. Choose another folder, or give the same experiment to go on.`,
  );
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
