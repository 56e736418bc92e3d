import { z } from 'zod';
import type { Method } from '../types.ts';

/** Training on the labels alone: the control that every other method is compared with. */
export const independent: Method<object> = {
  name: 'independent',
  summary: 'labels alone, nobody teaches: the control',
  source: 'none',
  teachers: 'none',
  options: z.strictObject({}),
  weights: { ce: 1, kd: 0 },
};
