import { execFile } from 'node:child_process';
import type { Refused } from './types.ts';

export interface ChildProbe {
  /** Of what is tried, for people. */
  readonly name: string;
  /** JavaScript whose last line on stdout is JSON; it finds `args` at `process.argv[1]` and on. */
  readonly program: string;
  readonly args: readonly string[];
  /** Besides, and instead of, the variables of this process. */
  readonly env: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

/** What a child process answered, and all it said on stderr. */
export interface Answer {
  readonly answer: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}

/** Libraries that are asked to log everything say megabytes. */
const MOST_BYTES = 64 * 1024 ** 2;

/**
 * Tries something in a process of its own, which native code can crash or hang without harm: each way to end is told
 * apart. An answer with a field `error` counts as a refusal.
 */
export function askChild({ name, program, args, env, limitMs }: ChildProbe): Promise<Answer | Refused> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['-e', program, ...args],
      { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: MOST_BYTES, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        if (error?.killed) resolve(hung(name, limitMs));
        else if (error) resolve(ended(name, error.signal ?? `exit code ${error.code}`, stderr));
        else resolve(answered(name, stdout, stderr));
      },
    );
  });
}

function hung(name: string, limitMs: number): Refused {
  const remedy = "see whether the GPU's own tools answer, such as nvidia-smi; restart its driver if not";
  return { usable: false, reason: `${name} did not answer within ${limitMs / 1000} s`, remedy };
}

/** @param how the signal's name, or the exit code in words */
function ended(name: string, how: string, stderr: string): Refused {
  const said = lastWords(stderr);
  const details = said === '' ? '' : `: ${said}`;
  switch (how) {
    case 'SIGILL':
      return {
        usable: false,
        reason: `${name} uses instructions that this processor lacks, such as AVX (SIGILL)`,
        remedy: 'use another backend here, or a library that was built for this processor',
      };
    case 'SIGABRT':
      return { usable: false, reason: `${name} gave up by itself (SIGABRT)${details}`, remedy: null };
    case 'SIGSEGV':
    case 'SIGBUS':
      return { usable: false, reason: `${name} crashed (${how})${details}`, remedy: null };
    default:
      return { usable: false, reason: `${name} ended its process by ${how}${details}`, remedy: null };
  }
}

function answered(name: string, stdout: string, stderr: string): Answer | Refused {
  let answer: Record<string, unknown>;
  try {
    answer = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
  } catch {
    return { usable: false, reason: `${name} ended its process without an answer`, remedy: null };
  }
  if (answer.error === undefined) return { answer, stderr };
  return {
    usable: false,
    reason: `${name} does not load: ${firstLine(String(answer.error))}`,
    remedy: null,
  };
}

/** Why a native library ended its process is in a line marked as fatal, or else in the last one. */
function lastWords(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return firstLine(
    lines.find((line) => /: F |^F\d{4} |what\(\):|terminate called/.test(line)) ?? lines.at(-1) ?? '',
  );
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]!.trim().replace(/\.$/, '');
}
