import { join } from 'node:path';
import { placesOf } from '../src/config/peers.ts';
import { runSettings } from '../src/config/schema.ts';
import { ExitCode } from '../src/errors.ts';
import { createLogger } from '../src/logger.ts';
import { runProgram, stopOnSignals } from '../src/program.ts';
import { lockFolder } from '../src/results/lock.ts';
import { openRecorder } from '../src/results/recorder.ts';
import { isUnfinished, runFolderName, writeReport } from '../src/results/runFolder.ts';
import { summaryFile } from '../src/results/summaryFile.ts';
import { fileJournal, hasJournal } from './journal/fileJournal.ts';
import { parseCoordinatorOptions } from './options.ts';
import { createRun } from './runState.ts';
import { startServer } from './server.ts';
import { restore } from './snapshot.ts';
import { followTokenFile } from './tokens.ts';

await runProgram(async () => {
  const options = await parseCoordinatorOptions(process.argv.slice(2));
  const { experiment } = options;
  const logger = createLogger('coordinator', options.logLevel);
  const newId = runFolderName(experiment.name, new Date());
  const folder = options.dir ?? join('runs', newId);
  await lockFolder(folder, 'program', (what) => logger.info({ what }, 'lock'));
  const journalFolder = join(folder, 'journal');
  const goesOn = hasJournal(journalFolder) && (await isUnfinished(folder));
  const recorder = await openRecorder(folder, experiment, { goesOn, logger });
  const journal = fileJournal(journalFolder, {
    maxBytes: options.maxJournalBytes,
    notify(event, reason) {
      recorder.event({ event, reason });
      logger.warn({ reason }, event);
    },
  });
  const { left } = journal;
  const id = left?.id ?? newId;
  const run = createRun({ id, settings: runSettings(experiment), places: placesOf(experiment) }, journal);
  if (left) {
    restore(run, left, performance.now());
    recorder.event({ event: 'resumed', reason: `after round ${left.lastClosed}` });
    logger.info({ run: id, round: left.lastClosed, peers: [...run.members.keys()] }, 'resumed');
  }
  const server = await startServer({
    run,
    host: options.host,
    port: options.port,
    tokens: options.tokens,
    tls: options.tls,
    maxPeers: options.maxPeers,
    maxMemoryBytes: options.maxMemoryBytes,
    recorder,
    summaryFile: (summary) => summaryFile(summary, experiment),
    logger,
  });
  if (options.exposed && !options.tls) {
    logger.warn('not encrypted: use a private network, --tls-cert, or a TLS proxy in front');
  }
  if (options.tokenFile !== undefined) followTokenFile(options.tokenFile, server.useTokens, logger);
  const stop = stopOnSignals();
  stop.signal.addEventListener('abort', () => {
    logger.info('stopping: saving the results');
    server.interrupt();
  });
  logger.info(
    { url: server.url, run: id, folder, peers: run.options.places.map(({ name }) => name) },
    'listening',
  );

  const summary = await server.finished.finally(() => server.close());
  journal.close();
  await writeReport(folder);
  logger.info({ folder, seconds: Math.round(summary.seconds) }, 'finished');
  if (stop.signal.aborted) return stop.exitCode();
  return summary.peers.every(({ outcome }) => outcome === 'finished') ? ExitCode.ok : ExitCode.incomplete;
});
