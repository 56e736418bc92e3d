import type { Refused } from '../types.ts';

export interface NoGpu {
  /** Of TensorFlow. */
  readonly version: string;
  /** All that it said when it was loaded. */
  readonly stderr: string;
  /** The card that was asked for. */
  readonly gpu: string | undefined;
}

/** The version that the package's own installer brings. */
const STOCK = '2.9.1';

/** Why a TensorFlow that works does so without a GPU; the first reason that explains the others. */
export function explainNoGpu({ version, stderr, gpu }: NoGpu): Refused {
  const missing = [...stderr.matchAll(/Could not load dynamic library '([^']+)'/g)].map(([, name]) => name);
  if (missing.includes('libcuda.so.1')) {
    return refuse(
      "CUDA's driver library, libcuda.so.1, is missing",
      "it comes with NVIDIA's driver; in a container, start it with the card (docker run --gpus all)",
    );
  }
  if (missing.length > 0 || /Cannot dlopen some GPU libraries/.test(stderr)) {
    const names = missing.length === 0 ? "all of CUDA's libraries" : [...new Set(missing)].join(', ');
    const remedy =
      version === STOCK ? 'install CUDA 11.8 and cuDNN 8, or: codistill install-tensorflow --pip' : PIP;
    return refuse(`TensorFlow ${version} does not find ${names}`, remedy);
  }
  const start = /(?:f|F)ailed call to cuInit: *([^\n]*)/.exec(stderr)?.[1];
  if (start !== undefined) {
    const card = gpu === undefined ? '' : ` with card ${gpu}`;
    return refuse(`CUDA does not start${card}: ${start.trim()}`, 'see which cards nvidia-smi lists');
  }
  return refuse(`TensorFlow ${version} uses no GPU: it was built without CUDA, or found no card for it`, PIP);
}

const PIP = 'codistill install-tensorflow --pip';

function refuse(reason: string, remedy: string): Refused {
  return { usable: false, reason, remedy };
}
