import { InvalidArgumentError, Option } from 'commander';
import { createCommand } from '../src/config/commandLine.ts';
import { parseDuration } from '../src/config/duration.ts';
import {
  addGpuOption,
  addOutputOptions,
  addTrainingOptions,
  withSwitch,
} from '../src/config/trainingOptions.ts';
import { UsageError } from '../src/errors.ts';
import { isModelPath, parseModelName } from '../src/models/names.ts';
import { LABEL_LENGTH, NAME_PATTERN } from '../src/protocol/messages.ts';
import { readTokens, type Token } from '../src/token.ts';
import { type Identity, openIdentity } from './identity.ts';
import { type ClientTls, readClientTls } from './tls.ts';

/** What a peer can be told; the rest it learns from the coordinator. */
export interface PeerOptions {
  readonly coordinator: string;
  readonly token: Token | null;
  readonly tokenFile: string | undefined;
  readonly tls: ClientTls;
  /** The key that the name in the run shall belong to. */
  readonly identity: Identity | null;
  readonly identityFile: string | undefined;
  readonly name: string | undefined;
  readonly model: string | undefined;
  readonly role: 'student' | 'teacher';
  /** Of a teacher, or of the generation that a student learns from: a file, or a run folder. */
  readonly weights: string | undefined;
  readonly backend: string;
  readonly gpu: string | undefined;
  readonly dataDir: string | undefined;
  readonly download: boolean;
  readonly dir: string | undefined;
  /** Whether to begin with the weights of the best student that has the same model, where there are any. */
  readonly startFromBest: boolean;
  /** Whether no other peer ever gets this one's weights. */
  readonly keepWeights: boolean;
  readonly patienceMs: number;
  readonly logLevel: string;
}

/** @throws {UsageError} for options that contradict each other; commander itself ends the program for unknown ones */
export function parsePeerOptions(argv: readonly string[]): PeerOptions {
  const command = addTrainingOptions(
    createCommand(
      'codistill peer',
      'Trains one student: joins a coordinator, exchanges predictions, hands in its results.',
    )
      .addOption(
        new Option('--coordinator <url>', 'address of the coordinator, such as ws://127.0.0.1:7070')
          .makeOptionMandatory()
          .env('CODISTILL_COORDINATOR'),
      )
      .addOption(
        new Option('--token-file <file>', "file with the run's token, if it has one").env(
          'CODISTILL_TOKEN_FILE',
        ),
      )
      .addOption(
        new Option(
          '--identity-file <file>',
          'private key that keeps the name in the run from others; made when there is no such file',
        ).env('CODISTILL_IDENTITY_FILE'),
      )
      .addOption(
        new Option(
          '--tls-ca <file>',
          "certificates, as PEM: the coordinator's must be one of them, or of one of them; default: public authorities",
        ).env('CODISTILL_TLS_CA'),
      )
      .addOption(
        new Option('--tls-cert <file>', 'certificate of this peer, if the coordinator asks for one').env(
          'CODISTILL_TLS_CERT',
        ),
      )
      .addOption(new Option('--tls-key <file>', 'its private key, as PEM').env('CODISTILL_TLS_KEY'))
      .addOption(
        new Option('--model <name>', 'model to train, or path of a module; default: of the first free place')
          .argParser(modelArgument)
          .env('CODISTILL_MODEL'),
      )
      .addOption(
        new Option('--role <role>', 'whether to learn, or to teach with weights that stay as they are')
          .choices(['student', 'teacher'])
          .default('student')
          .env('CODISTILL_ROLE'),
      )
      .addOption(
        new Option(
          '--weights <path>',
          'weights of a teacher, or of the generation before: a safetensors file, or a run folder',
        ).env('CODISTILL_WEIGHTS'),
      )
      .addOption(
        withSwitch(
          new Option(
            '--start-from-best',
            'without a checkpoint to go on from: begin with the weights of the best student that has the same model, if the run is in training',
          ).default(false),
          'CODISTILL_START_FROM_BEST',
        ),
      )
      .addOption(
        withSwitch(
          new Option(
            '--keep-weights',
            'send the weights to nobody that is started with --start-from-best',
          ).default(false),
          'CODISTILL_KEEP_WEIGHTS',
        ),
      )
      .addOption(
        new Option('--name <name>', 'name in the run; default: of the first free place')
          .argParser(nameArgument)
          .env('CODISTILL_NAME'),
      )
      .addOption(
        new Option('--patience <duration>', 'how long to try to reach the coordinator before giving up')
          .argParser(durationArgument)
          .default(30_000, '30s')
          .env('CODISTILL_PATIENCE'),
      ),
  );
  addGpuOption(command);
  addOutputOptions(command, 'where weights and checkpoints go; default: runs/<run>/peers/<name>');
  const options = command.parse(argv, { from: 'user' }).opts();
  if (options.role === 'teacher' && options.weights === undefined) {
    throw new UsageError('--role teacher: expected --weights, a safetensors file or a run folder.');
  }
  for (const flag of ['startFromBest', 'keepWeights'] as const) {
    if (options.role !== 'teacher' || !options[flag]) continue;
    const name = flag === 'startFromBest' ? '--start-from-best' : '--keep-weights';
    throw new UsageError(
      `${name}: expected of a student, as a teacher has the weights of --weights and sends none.`,
    );
  }
  const coordinator = coordinatorUrl(options.coordinator);
  return {
    coordinator,
    token: options.tokenFile === undefined ? null : readTokens(options.tokenFile)[0]!,
    tokenFile: options.tokenFile,
    tls: readClientTls(coordinator, options),
    identity: options.identityFile === undefined ? null : openIdentity(options.identityFile),
    identityFile: options.identityFile,
    name: options.name,
    model: options.model,
    role: options.role,
    weights: options.weights,
    backend: options.backend,
    gpu: options.gpu,
    dataDir: options.dataDir,
    download: options.download,
    dir: options.dir,
    startFromBest: options.startFromBest,
    keepWeights: options.keepWeights,
    patienceMs: options.patience,
    logLevel: options.logLevel,
  };
}

/** The WebSocket address of a coordinator; `/ws` is added where no path is given. */
function coordinatorUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  // A fragment never leaves the client; WebSockets refuse it.
  if (!url || !['ws:', 'wss:'].includes(url.protocol) || url.hash !== '') {
    throw new UsageError(`--coordinator: expected an address such as ws://127.0.0.1:7070, got "${text}".`);
  }
  if (url.pathname === '/') url.pathname = '/ws';
  return url.href;
}

function nameArgument(text: string): string {
  if (NAME_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(
    'Expected 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first.',
  );
}

/** @throws {UsageError} for a name that stands for no model; a path is looked at when the module is loaded */
function modelArgument(text: string): string {
  if (text.length > LABEL_LENGTH)
    throw new InvalidArgumentError(`Expected at most ${LABEL_LENGTH} characters.`);
  if (!isModelPath(text)) parseModelName(text);
  return text;
}

function durationArgument(text: string): number {
  const milliseconds = parseDuration(text);
  if (Number.isNaN(milliseconds)) throw new InvalidArgumentError('Expected a duration such as 30s or 2m.');
  return milliseconds;
}
