import { totalmem } from 'node:os';
import { Option } from 'commander';
import { createCommand } from '../src/config/commandLine.ts';
import { addExperimentOptions, overridesFrom } from '../src/config/flags.ts';
import { loadExperiment } from '../src/config/load.ts';
import { placesOf } from '../src/config/peers.ts';
import type { Experiment } from '../src/config/schema.ts';
import { parseSize } from '../src/config/size.ts';
import { addOutputOptions } from '../src/config/trainingOptions.ts';
import { UsageError } from '../src/errors.ts';
import { readTokens, type Token } from '../src/token.ts';
import { isLoopback } from './gate.ts';
import { readServerTls, type ServerTls } from './tls.ts';

export interface CoordinatorOptions {
  readonly experiment: Experiment;
  readonly host: string;
  readonly port: number;
  /** Whether other machines can reach the address. */
  readonly exposed: boolean;
  /** What peers must show to join; `null`: anybody who can reach the address may. */
  readonly tokens: readonly Token[] | null;
  readonly tokenFile: string | undefined;
  /** `null`: what is sent is not encrypted. */
  readonly tls: ServerTls | null;
  /** The run folder; made when it does not exist. */
  readonly dir: string | undefined;
  /** The most bytes of the journal on the disk. */
  readonly maxJournalBytes: number;
  readonly logLevel: string;
  /** Connections at a time. */
  readonly maxPeers: number;
  /** Bytes that may be held for peers. */
  readonly maxMemoryBytes: number;
}

/** @throws {UsageError} for a wrong experiment, or an address that is not safe */
export async function parseCoordinatorOptions(argv: readonly string[]): Promise<CoordinatorOptions> {
  const command = createCommand(
    'codistill coordinator',
    'Keeps the peers of one run in step, makes their targets, and writes the results.',
  )
    .argument('[experiment]', 'an experiment file, or the name of a ready one such as quickstart')
    .addOption(
      new Option('--host <address>', 'address to listen on').default('127.0.0.1').env('CODISTILL_HOST'),
    )
    .addOption(
      new Option('--port <number>', 'port to listen on; 0 takes a free one')
        .default('7070')
        .env('CODISTILL_PORT'),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        'file with the tokens that peers may show: one a line, a name before it; read again when it changes',
      ).env('CODISTILL_TOKEN_FILE'),
    )
    .addOption(
      new Option('--tls-cert <file>', 'certificate of this coordinator, as PEM: peers take wss://').env(
        'CODISTILL_TLS_CERT',
      ),
    )
    .addOption(new Option('--tls-key <file>', 'its private key, as PEM').env('CODISTILL_TLS_KEY'))
    .addOption(
      new Option(
        '--tls-client-ca <file>',
        'certificates of authorities, as PEM: peers must have a certificate of one of them',
      ).env('CODISTILL_TLS_CLIENT_CA'),
    )
    .addOption(
      new Option(
        '--max-peers <number>',
        'most connections at a time; default: twice the peers of the experiment, and 64',
      ).env('CODISTILL_MAX_PEERS'),
    )
    .addOption(
      new Option(
        '--max-memory <size>',
        "most memory for what peers have sent, such as 2GiB; default: half of this machine's",
      ).env('CODISTILL_MAX_MEMORY'),
    );
  command.addOption(
    new Option('--max-journal <size>', 'most disk space for answers that peers may ask for again')
      .default('256MiB')
      .env('CODISTILL_MAX_JOURNAL'),
  );
  addOutputOptions(
    command,
    'the run folder; default: runs/<name>-<time>; one whose run has not ended goes on',
  );
  addExperimentOptions(command);
  command.parse(argv, { from: 'user' });
  const options = command.opts();
  const { experiment } = await loadExperiment(command.args[0], overridesFrom(command));
  const tokens = options.tokenFile === undefined ? null : readTokens(options.tokenFile);
  const tls = readServerTls(options);
  const exposed = !isLoopback(options.host);
  if (tokens === null && exposed) {
    throw new UsageError(
      `--host ${options.host}: expected a token to protect an address that others can reach; give --token-file.`,
    );
  }
  const port = Number(options.port);
  if (!/^\d+$/.test(options.port) || port > 65_535) {
    throw new UsageError(`--port: expected a whole number from 0 to 65535, got "${options.port}".`);
  }
  return {
    experiment,
    host: options.host,
    port,
    exposed,
    tokens,
    tokenFile: options.tokenFile,
    tls,
    dir: options.dir,
    maxJournalBytes: parseSize('--max-journal', options.maxJournal),
    logLevel: options.logLevel,
    maxPeers: maxPeersOf(options.maxPeers, placesOf(experiment).length),
    maxMemoryBytes: maxMemoryOf(options.maxMemory),
  };
}

/** A peer that comes back has two connections for a moment; the others are those that are not let in. */
function maxPeersOf(text: string | undefined, places: number): number {
  if (text === undefined) return 2 * places + 64;
  const most = Number(text);
  if (/^\d+$/.test(text) && most >= places) return most;
  throw new UsageError(
    `--max-peers: expected a whole number of at least ${places}, the peers of the experiment, got "${text}".`,
  );
}

function maxMemoryOf(text: string | undefined): number {
  if (text === undefined) {
    // A container may have less than the machine; without a limit, this is absent, or beyond all memory.
    return Math.floor(Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) / 2);
  }
  return parseSize('--max-memory', text);
}
