import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Drill } from '../drill.ts';

export const full: Drill = {
  number: 26,
  title: 'no room on the disk of the coordinator, from the start on',
  promises: ['P1', 'P7'],
  criterion:
    'every round has its targets; the log says what is not kept, and the exit code that something is missing',
  async run(stage) {
    const folder = join(stage.folder, 'full');
    mkdirSync(folder, { recursive: true });
    for (const name of ['events.ndjson', 'metrics.ndjson']) symlinkSync('/dev/full', join(folder, name));
    const coordinator = await stage.coordinator({ folder });
    const peers = await stage.cast(coordinator);
    const taken = await Promise.all(peers.map((peer) => peer.play(0, 100)));
    const alive = await coordinator.probe();
    const said = coordinator.logged(/ENOSPC|no space|disk/i);
    coordinator.expectFailure();
    await Promise.all(peers.map((peer) => peer.finish().catch(() => {})));
    const code = await coordinator.exited;
    const line = await said;
    return {
      passed: taken.every((rounds) => rounds.length === 100) && alive < 1_000 && code !== 0,
      measured: `${taken[0]!.length} of 100 rounds; exit code ${code}; "${line.slice(0, 80)}"`,
    };
  },
};

export const disks: readonly Drill[] = [full];
