import { cifar10 } from './cifar10.ts';
import { cifar100 } from './cifar100.ts';
import type { DatasetDefinition } from './definition.ts';
import { fashionMnist } from './fashionMnist.ts';

/** Every dataset that an experiment can name. */
export const datasets: Readonly<Record<string, DatasetDefinition>> = {
  'fashion-mnist': fashionMnist,
  'cifar-10': cifar10,
  'cifar-100': cifar100,
};
