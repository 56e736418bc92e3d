import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** NVIDIA's driver on this machine. */
export interface NvidiaDriver {
  /** Such as `550.54.14`; `null` where the kernel does not tell, as on Windows' Linux. */
  readonly version: string | null;
  /** Models of the cards in the order of the bus, as far as the kernel tells. */
  readonly cards: readonly string[];
}

/**
 * What the kernel says about NVIDIA's driver; `null` when it is not loaded.
 *
 * @param proc the driver's folder in the kernel's file system
 * @param wsl the device by which Windows lends its GPU to Linux
 */
export function nvidiaDriver(proc = '/proc/driver/nvidia', wsl = '/dev/dxg'): NvidiaDriver | null {
  if (!existsSync(join(proc, 'version'))) return existsSync(wsl) ? { version: null, cards: [] } : null;
  const version = /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(read(join(proc, 'version')))?.[1] ?? null;
  const folder = join(proc, 'gpus');
  const buses = existsSync(folder) ? readdirSync(folder).sort() : [];
  const models = buses.map((bus) => /^Model:\s*(.+)$/m.exec(read(join(folder, bus, 'information')))?.[1]);
  return { version, cards: models.map((model) => model?.trim() ?? 'unknown card') };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
