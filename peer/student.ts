import type { RunSettings } from '../src/config/schema.ts';
import type { Objective } from '../src/distill/objective.ts';
import type { FeatureShapes } from '../src/distill/types.ts';
import { createOptimizer } from '../src/training/createOptimizer.ts';
import { createEmaTeacher, type EmaTeacher } from '../src/training/emaTeacher.ts';
import type { Optimizer } from '../src/training/optimizer.ts';
import { createStudentLoss, type StudentLoss } from '../src/training/studentLoss.ts';
import type { Network } from './network.ts';

/** A network with all that its training needs. */
export interface Student extends Network {
  readonly loss: StudentLoss;
  /** Of the model's parameters and those of the loss, in this order. */
  readonly optimizer: Optimizer;
  /** The moving average of the student, where the method has one: as its own teacher, or in the place of itself before others. */
  readonly ema: EmaTeacher | null;
}

/**
 * Makes the loss, the optimiser and the student's own teacher.
 *
 * @param teacherLayers of the networks that it learns from, as far as they have the same; `null` without any
 * @throws {UsageError} when a method needs a layer that a network does not have
 */
export async function createStudent(
  network: Network,
  objective: Objective,
  settings: RunSettings,
  teacherLayers: FeatureShapes | null,
): Promise<Student> {
  const { model, dataset, seed } = network;
  const loss = createStudentLoss(objective, {
    model,
    student: network.layers,
    teacher: teacherLayers,
    trainSize: dataset.train.count,
    trainLabels: dataset.train.labels,
    batchSize: settings.data.batchSize,
    seed,
  });
  const optimizer = createOptimizer(
    new Map([...model.parameters, ...loss.parameters]),
    settings.training.optimizer,
  );
  const decay = emaDecayOf(objective);
  const ema = decay === null ? null : createEmaTeacher(model, await network.another(), decay);
  return {
    ...network,
    loss,
    optimizer,
    ema,
    dispose() {
      optimizer.dispose();
      ema?.dispose();
      loss.dispose();
      network.dispose();
    },
  };
}

/** Every method that uses the student's moving average has its decay as an option; `null` when none does. */
function emaDecayOf({ terms }: Objective): number | null {
  const term = terms.find(({ method }) => method.teachers === 'ema' || method.sends === 'ema');
  return term ? (term.options as { decay: number }).decay : null;
}
