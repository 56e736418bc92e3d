import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs';

/** The numbers a method's loss depends on besides the tensors. */
export interface DistillationOptions {
  /** Divides the logits of student and teacher before the softmax; greater than 0, 1 is no softening. */
  readonly temperature: number;
}

/** A distillation method: who teaches, and the loss against what was taught. */
export interface Method {
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  /** Whose predictions the target is made of: nobody's, the other peers', or those of the student's own moving average. */
  readonly teachers: 'none' | 'peers' | 'ema';
  /**
   * The distillation loss of each sample; absent for a method without teachers.
   *
   * @param studentLogits `[batch, classes]`; gradients are taken with respect to it
   * @param teacherLogits `[batch, classes]`, a constant
   * @returns `[batch]`
   */
  readonly loss?: (
    studentLogits: Tensor2D,
    teacherLogits: Tensor2D,
    options: DistillationOptions,
  ) => Tensor1D;
}
