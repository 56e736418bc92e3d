import type { Method } from './types.ts';

/** Training on the labels alone: the control that every other method is compared with. */
export const independent: Method = {
  name: 'independent',
  summary: 'labels alone, nobody teaches: the control',
  teachers: 'none',
};
