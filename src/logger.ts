import { type DestinationStream, type Logger, pino } from 'pino';
import { build as prettyStream } from 'pino-pretty';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Of records that wait for a full disk; further ones are dropped. */
const MAX_WAITING_BYTES = 1024 ** 2;

/**
 * A program's log on stderr: readable on a terminal, JSON lines otherwise. The message is a constant phrase, what
 * varies is in fields.
 */
export function createLogger(program: string, level: string): Logger {
  const options = { name: program, level, base: { pid: process.pid } };
  const destination: DestinationStream = process.stderr.isTTY
    ? prettyStream({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss' })
    : linesOnStderr();
  return pino(options, destination);
}

/** A log that cannot be written, as when stderr is a file on a full disk, does not end the work that it tells about. */
function linesOnStderr(): DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true, maxLength: MAX_WAITING_BYTES });
  stream.on('error', () => {});
  return stream;
}
