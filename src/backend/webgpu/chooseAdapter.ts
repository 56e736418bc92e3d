import type { Refused } from '../types.ts';

/** A GPU as WebGPU sees it. */
export interface Adapter {
  /** Adapters are asked for by name: two of the same name cannot be told apart. */
  readonly name: string;
  readonly device: string;
  /** Name and version of its driver. */
  readonly driver: string;
  /** Whether it computes on the processor. */
  readonly software: boolean;
}

export interface Adapters {
  readonly adapters: readonly Adapter[];
  /** The one that the system takes for the fastest; its name is not known. */
  readonly preferred: Adapter | null;
  /** All that was said while they were listed. */
  readonly stderr: string;
  /** The number of the wanted one among those that are no software, or part of its name. */
  readonly gpu: string | undefined;
}

/** Which of the adapters to compute on, or why on none of them. */
export function chooseAdapter({ adapters, preferred, stderr, gpu }: Adapters): Adapter | Refused {
  if (adapters.length === 0) return explainNoAdapter(stderr);
  const hardware = adapters.filter(({ software }) => !software);
  if (gpu === undefined) {
    const same = hardware.find(
      ({ device, driver }) => device === preferred?.device && driver === preferred.driver,
    );
    return same ?? hardware[0] ?? softwareOnly(adapters[0]!.name);
  }
  const seen = `WebGPU sees ${adapters.map(({ name }) => name).join('; ')}`;
  if (!/^\d+$/.test(gpu)) {
    const wanted = adapters.find(({ name }) => name.toLowerCase().includes(gpu.toLowerCase()));
    return wanted ?? refuse(`there is no card called "${gpu}": ${seen}`, 'give part of one of these names');
  }
  const wanted = hardware[Number(gpu)];
  if (!wanted) {
    return refuse(`there is no card ${gpu}: ${seen}`, 'give another number, or part of one of these names');
  }
  const first = hardware.find(({ name }) => name === wanted.name);
  if (first === wanted) return wanted;
  return refuse(
    `card ${gpu} cannot be told from another one called ${wanted.name}: WebGPU knows names only`,
    'use tfjs-node-gpu, or let each process see one card, as by docker run --gpus device=N',
  );
}

function softwareOnly(name: string): Refused {
  const word = name.split(' ', 1)[0];
  return refuse(`the only adapter is software (${name})`, `to use it all the same, for tests: --gpu ${word}`);
}

/** Why there is no adapter at all, from what the Vulkan loader and Dawn said. */
function explainNoAdapter(stderr: string): Refused {
  const missing = /Couldn't load Vulkan: (.*): cannot open shared object file/.exec(stderr)?.[1];
  if (missing !== undefined) {
    return refuse(
      `the Vulkan loader is missing (${missing})`,
      'install it, such as Debian\'s package "libvulkan1"',
    );
  }
  const required = /Warning: (Vulkan .* required[^.\n]*)/.exec(stderr)?.[1];
  if (required !== undefined) {
    return refuse(`no adapter can do what is needed: ${required}`, "install a newer driver of the GPU's");
  }
  return refuse(
    'no Vulkan driver shows a GPU',
    'with a GPU: install its Vulkan driver; in a container with NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics',
  );
}

function refuse(reason: string, remedy: string): Refused {
  return { usable: false, reason, remedy };
}
