import { existsSync } from 'node:fs';
import { askChild } from '../childProbe.ts';
import type { Refused } from '../types.ts';
import { explainNoGpu } from './noGpu.ts';
import { addonOf, environmentFor, PACKAGE, packageFolder } from './package.ts';

/** Long enough for CUDA to start and to compile its first kernel for a GPU newer than the library. */
const PROBE_LIMIT_MS = 120_000;

/**
 * What the child process runs: loads the package in the folder `process.argv[1]`, computes once, and prints what it
 * found. A GPU that is too new for the library is only noticed by computing on it.
 */
const PROGRAM = `
  const util = require('node:util');
  util.isNullOrUndefined ??= (value) => value == null;
  util.isArray ??= Array.isArray;
  let found;
  try {
    const tf = require(process.argv[1]);
    tf.add(1, 2).dataSync();
    const { isUsingGpuDevice, binding } = tf.backend();
    found = { gpu: isUsingGpuDevice === true, version: String(binding?.TF_Version) };
  } catch (error) {
    found = { error: String(error?.message ?? error) };
  }
  require('node:fs').writeSync(1, '\\n' + JSON.stringify(found));
  process.exit();
`;

/** What a package that loads and computes can do. */
export interface Inspection {
  readonly version: string;
  /** Why it does not use a GPU; `null` when it does. */
  readonly noGpu: Refused | null;
}

const inspections = new Map<string, Promise<Inspection | Refused>>();

/** What the installed package can do here; found out once. @param gpu number or UUID of the card */
export async function inspectInstalled(gpu?: string): Promise<Inspection | Refused> {
  const folder = packageFolder();
  if (folder === null) {
    const remedy = 'npm ci --ignore-scripts, then codistill install-tensorflow --pip';
    return { usable: false, reason: `${PACKAGE} is not installed`, remedy };
  }
  const key = `${folder} ${gpu}`;
  const known = inspections.get(key) ?? inspectPackage(folder, { ...(gpu !== undefined && { gpu }) });
  inspections.set(key, known);
  return known;
}

/**
 * Loads the package in a process of its own: a processor without AVX or a broken driver ends or hangs that process, and
 * a package that fails to load leaves half of its kernels registered there.
 *
 * @param folder of the package
 */
export async function inspectPackage(
  folder: string,
  { gpu, limitMs = PROBE_LIMIT_MS }: { gpu?: string; limitMs?: number } = {},
): Promise<Inspection | Refused> {
  if (!existsSync(addonOf(folder))) {
    const remedy = 'codistill install-tensorflow --pip';
    return { usable: false, reason: `${PACKAGE} is installed without its native addon`, remedy };
  }
  const found = await askChild({
    name: PACKAGE,
    program: PROGRAM,
    args: [folder],
    // What TensorFlow says about a GPU that it cannot use is a warning at most.
    env: { ...environmentFor(gpu), TF_CPP_MIN_LOG_LEVEL: '0' },
    limitMs,
  });
  if ('usable' in found) return found;
  const { version = 'unknown', gpu: usesGpu } = found.answer as { version?: string; gpu?: boolean };
  const noGpu = usesGpu ? null : explainNoGpu({ version, stderr: found.stderr, gpu });
  return { version, noGpu };
}
