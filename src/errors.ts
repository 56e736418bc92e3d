/**
 * Exit codes of every codistill program. They are part of its interface: launchers and schedulers branch on them.
 */
export const ExitCode = {
  /** All work done. */
  ok: 0,
  /** A fault of codistill itself. */
  internal: 1,
  /** Wrong input: a flag, an experiment file, a user's module. Nothing was started. */
  usage: 2,
  /** A dataset file is missing, truncated or corrupt. */
  data: 3,
  /** The coordinator could not be reached, or was lost for good. */
  unreachable: 4,
  /** The coordinator refused this peer; the message says why. */
  refused: 5,
  /** The address to listen on is taken or not allowed. */
  listen: 6,
  /** The run ended, but at least one peer did not finish. */
  incomplete: 7,
  /** No backend could be loaded, or the one asked for could not. */
  backend: 8,
  /** Results could not be saved; what there is was printed. */
  unsaved: 9,
  /** Stopped by SIGINT or SIGTERM after saving its work. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error whose message is meant for the person at the terminal: what was expected, what came, what to do. */
export class CodistillError extends Error {
  override readonly name: string = 'CodistillError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Wrong input from the user: flags, experiment files, modules. */
export class UsageError extends CodistillError {
  override readonly name = 'UsageError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.usage, options);
  }
}

/** A dataset file that is missing, truncated or corrupt. */
export class DataError extends CodistillError {
  override readonly name = 'DataError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.data, options);
  }
}

/** Tensors whose shapes do not fit each other. */
export class ShapeError extends CodistillError {
  override readonly name = 'ShapeError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.usage, options);
  }
}

/** A backend that cannot be loaded. */
export class BackendError extends CodistillError {
  override readonly name = 'BackendError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.backend, options);
  }
}

/** A file of results that cannot be written: the disk is full, or read-only. */
export class StorageError extends CodistillError {
  override readonly name = 'StorageError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.unsaved, options);
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
