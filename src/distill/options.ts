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

/** A factor of a term of the loss. */
export const weight = (standard: number) => z.number().min(0).default(standard);
