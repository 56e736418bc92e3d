import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nvidiaDriver } from '../../../src/backend/tensorflow/nvidia.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const NOWHERE = '/nowhere/dxg';
const GCC = 'GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04) \n';
const PROPRIETARY = `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n${GCC}`;

const information = (model: string, bus: string): string =>
  `Model: \t\t ${model}
IRQ:   \t\t 107
GPU UUID: \t GPU-8eaaebb8-bb64-8489-fda2-62256e821983
Video BIOS: \t ??.??.??.??.??
Bus Type: \t PCIe
DMA Size: \t 47 bits
DMA Mask: \t 0x7fffffffffff
Bus Location: \t ${bus}
Device Minor: \t 0
GPU Excluded:\t No
`;

/** The driver's folder in the kernel's file system. @param gpus by bus, the model or what is in `information` */
async function procFolder(version: string, gpus: Record<string, string | null> = {}): Promise<string> {
  const folder = await temporaryFolder();
  writeFileSync(join(folder, 'version'), version);
  for (const [bus, text] of Object.entries(gpus)) {
    mkdirSync(join(folder, 'gpus', bus), { recursive: true });
    if (text !== null) writeFileSync(join(folder, 'gpus', bus, 'information'), text);
  }
  return folder;
}

describe('NVIDIA’s driver', () => {
  it.each([
    ['proprietary', PROPRIETARY, '535.104.05'],
    [
      'open',
      `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (dvs-builder@U16-A24-9-2)  Thu Feb 22 01:25:25 UTC 2024\n${GCC}`,
      '550.54.14',
    ],
    [
      'open, on ARM',
      `NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.65.06  Release Build\n${GCC}`,
      '580.65.06',
    ],
    [
      'of two numbers',
      `NVRM version: NVIDIA UNIX x86_64 Kernel Module  515.76  Mon Sep 12 19:21:56 UTC 2022\n${GCC}`,
      '515.76',
    ],
    ['in a form not known yet', 'NVRM version: something else\n', null],
  ])('has its version, not that of the compiler: %s', async (_, text, version) => {
    expect(nvidiaDriver(await procFolder(text), NOWHERE)).toEqual({ version, cards: [] });
  });

  it('has its cards in the order of the bus', async () => {
    const gpus = {
      '0000:65:00.0': information('NVIDIA GeForce RTX 4090', '0000:65:00.0'),
      '0000:17:00.0': information('NVIDIA A100-SXM4-80GB', '0000:17:00.0'),
      '0000:ca:00.0': information('Tesla V100-SXM2-16GB', '0000:ca:00.0'),
    };
    expect(nvidiaDriver(await procFolder(PROPRIETARY, gpus), NOWHERE)?.cards).toEqual([
      'NVIDIA A100-SXM4-80GB',
      'NVIDIA GeForce RTX 4090',
      'Tesla V100-SXM2-16GB',
    ]);
  });

  it('keeps the place of a card that the kernel tells nothing about', async () => {
    const gpus = {
      '0000:01:00.0': null,
      '0000:02:00.0': 'IRQ: 12\n',
      '0000:03:00.0': information('NVIDIA L4', '0000:03:00.0'),
    };
    expect(nvidiaDriver(await procFolder(PROPRIETARY, gpus), NOWHERE)?.cards).toEqual([
      'unknown card',
      'unknown card',
      'NVIDIA L4',
    ]);
  });

  it('is not there without its folder', async () => {
    expect(nvidiaDriver(await temporaryFolder(), NOWHERE)).toBeNull();
    expect(nvidiaDriver('/nowhere/nvidia', NOWHERE)).toBeNull();
  });

  it('is there, without telling about itself, where Windows lends its GPU', async () => {
    const dxg = join(await temporaryFolder(), 'dxg');
    writeFileSync(dxg, '');
    expect(nvidiaDriver('/nowhere/nvidia', dxg)).toEqual({ version: null, cards: [] });
    // The kernel's own word counts more.
    expect(nvidiaDriver(await procFolder(PROPRIETARY), dxg)?.version).toBe('535.104.05');
  });
});
