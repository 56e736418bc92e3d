import { describe, expect, it } from 'vitest';
import {
  BackendError,
  CodistillError,
  DataError,
  ExitCode,
  messageOf,
  ShapeError,
  StorageError,
  UsageError,
} from '../src/errors.ts';

describe('errors for people', () => {
  it('keep their exit codes, which schedulers branch on', () => {
    expect(ExitCode).toEqual({
      ok: 0,
      internal: 1,
      usage: 2,
      data: 3,
      unreachable: 4,
      refused: 5,
      listen: 6,
      incomplete: 7,
      backend: 8,
      unsaved: 9,
      interrupted: 130,
    });
  });

  it.each([
    [UsageError, 'UsageError', ExitCode.usage],
    [DataError, 'DataError', ExitCode.data],
    [ShapeError, 'ShapeError', ExitCode.usage],
    [BackendError, 'BackendError', ExitCode.backend],
    [StorageError, 'StorageError', ExitCode.unsaved],
  ])('carry name, exit code and cause (%o)', (Kind, name, exitCode) => {
    const cause = new Error('why');
    const error = new Kind('what', { cause });
    expect(error).toBeInstanceOf(CodistillError);
    expect({ ...error, message: error.message, cause: error.cause }).toEqual({
      name,
      exitCode,
      message: 'what',
      cause,
    });
  });

  it('have a text whatever was thrown', () => {
    expect(messageOf(new DataError('a torn file'))).toBe('a torn file');
    expect(messageOf('text')).toBe('text');
    expect(messageOf(undefined)).toBe('undefined');
  });
});
