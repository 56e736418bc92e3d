import { type DestinationStream, type Logger, pino } from 'pino';
import { build as prettyStream } from 'pino-pretty';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/**
 * A program's log on stderr: readable on a terminal, JSON lines otherwise. The message is a constant phrase, what
 * varies is in fields.
 */
export function createLogger(program: string, level: string): Logger {
  const options = { name: program, level, base: { pid: process.pid } };
  const destination: DestinationStream = process.stderr.isTTY
    ? prettyStream({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss' })
    : pino.destination({ dest: 2, sync: true });
  return pino(options, destination);
}
