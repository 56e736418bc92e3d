/** Options that several methods have, in the same words. */
import { z } from 'zod';

export const temperature = (standard: number) =>
  z
    .number()
    .positive()
    .default(standard)
    .describe('divides the logits of student and teacher before the softmax');

/** Of a moving average, from 0 to below 1. */
export const decay = (standard: number) => z.number().min(0).lt(1).default(standard);

/** Length of a first phase; see {@link initLength}. */
export const initEpochs = () =>
  z
    .number()
    .min(0)
    .nullable()
    .default(null)
    .describe('epochs of the first phase, in which the labels do not count; null: a ninth of the training');

/** In epochs. A ninth is RepDistiller's share: 30 epochs before 240 others. */
export const initLength = (initEpochs: number | null, epochs: number): number => initEpochs ?? epochs / 9;

/** A factor of a term of the loss. */
export const weight = (standard: number) => z.number().min(0).default(standard);
