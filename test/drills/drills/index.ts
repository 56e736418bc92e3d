import type { Drill } from '../drill.ts';
import { chaos } from './chaos.ts';
import { deaths } from './deaths.ts';
import { disks } from './disks.ts';
import { frames } from './frames.ts';
import { joining } from './joining.ts';
import { partition } from './partition.ts';
import { powerCut } from './power.ts';
import { restarts } from './restarts.ts';
import { openRounds } from './rounds.ts';
import { signals } from './signals.ts';
import { silence } from './silence.ts';
import { slowness } from './slowness.ts';
import { soak } from './soak.ts';
import { trainings } from './trainings.ts';

/** All drills, by number. */
export const drills: readonly Drill[] = [
  ...deaths,
  ...disks,
  ...frames,
  ...joining,
  ...openRounds,
  ...signals,
  ...restarts,
  ...silence,
  ...slowness,
  ...trainings,
  chaos,
  partition,
  powerCut,
  soak,
].sort((a, b) => a.number - b.number);
