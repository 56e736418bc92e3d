import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

/** The process that holds a lock, as its file tells. What its system does not know is `null`. */
export const holderSchema = z.object({
  /** Tells this lock from all others. */
  nonce: z.uuid(),
  pid: z.int(),
  /** When the process began, in clock ticks since the boot: a process number that is given again has another one. */
  started: z.string().nullable(),
  host: z.string(),
  /** Id of the host's boot. */
  boot: z.string().nullable(),
  /** The space of process numbers: containers have their own. */
  namespace: z.string().nullable(),
  /** ISO 8601. */
  since: z.string(),
});
export type Holder = z.infer<typeof holderSchema>;

/** In the place of one whose file is damaged. */
export const UNREADABLE: Holder = {
  ...{ nonce: 'unreadable', pid: 0, started: null, host: 'an unknown host', boot: null, namespace: null },
  since: 'an unknown time',
};

/** This process, as the holder of a lock. */
export function thisProcess(nonce: string): Holder {
  return {
    nonce,
    pid: process.pid,
    started: processStart(process.pid),
    host: hostname(),
    boot: bootId(),
    namespace: pidNamespace(),
    since: new Date().toISOString(),
  };
}

/**
 * Whether the process that holds a lock is still there, as far as that can be known from `here`: not of one on another
 * host, or in another container.
 */
export function stateOf(holder: Holder, here: Holder): 'alive' | 'gone' | 'unknown' {
  if (holder.host !== here.host) return 'unknown';
  if (holder.boot !== here.boot) return 'gone';
  if (holder.namespace !== here.namespace) return 'unknown';
  if (here.started !== null) return processStart(holder.pid) === holder.started ? 'alive' : 'gone';
  try {
    process.kill(holder.pid, 0);
    return 'alive';
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? 'gone' : 'alive';
  }
}

/** @returns `null` for a process that is not there, or only waits to be buried; also where there is no `/proc` */
function processStart(pid: number): string | null {
  const stat = textOf(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the name, in parentheses, and may have spaces and parentheses itself.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? null : (fields[18] ?? null);
}

function bootId(): string | null {
  return textOf('/proc/sys/kernel/random/boot_id')?.trim() ?? null;
}

function pidNamespace(): string | null {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return null;
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
