/**
 * What is to be known about the distillation methods before TensorFlow.js is loaded, which takes longer than all else
 * that the coordinator and the command line do. Each method itself is a file in src/distill/methods.
 */
import { isModelPath } from '../models/names.ts';

/** Names of the methods, by where their teachers are. */
const METHODS_BY_TEACHERS = {
  none: ['independent', 'label-smoothing'],
  peers: [
    ...['dml', 'codistillation', 'kdcl', 'okddip', 'pcl'],
    ...['kd', 'dkd', 'dist', 'mlkd', 'wsld', 'ctkd'],
    ...['fitnet', 'at', 'sp', 'cc', 'vid', 'rkd', 'pkt', 'ab', 'ft', 'fsp', 'nst', 'crd'],
  ],
  self: ['self-ema'],
} as const;

/** Names of the distillation methods, as `distill.method` and `compare` accept them. */
export const METHODS: readonly string[] = Object.values(METHODS_BY_TEACHERS).flat();

const ASKING: ReadonlySet<string> = new Set(METHODS_BY_TEACHERS.peers);

/** Whether a method learns from other peers. One in a module of the user's own may: only who loads it knows. */
export function asksPeers(method: string): boolean {
  return ASKING.has(method) || isModelPath(method);
}

/** The names of the methods that an experiment's students learn by. */
export function methodsIn(distill: {
  readonly method: string;
  readonly methods?: readonly { readonly name: string }[];
}): string[] {
  return distill.methods?.map(({ name }) => name) ?? [distill.method];
}

/** What they are called together: `kd`, or `kd+crd`. */
export function methodLabel(distill: Parameters<typeof methodsIn>[0]): string {
  return methodsIn(distill).join('+');
}
