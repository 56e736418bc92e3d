/** Which layers a method compares: what its options say, checked against what student and teacher have. */
import { z } from 'zod';
import { UsageError } from '../errors.ts';
import { suggestion } from '../names.ts';
import type { FeatureShapes, ModuleSetup } from './types.ts';

export type MapShape = readonly [height: number, width: number, channels: number];

/** Option of methods that compare several stages. */
export const stages = () =>
  z
    .array(z.string().min(1))
    .min(1)
    .nullable()
    .default(null)
    .describe('layers to compare, shallow to deep; null: all stages of the student');

/** Option of methods that compare several stages before their rectifiers. */
export const preacts = () =>
  z
    .array(z.string().min(1))
    .min(1)
    .nullable()
    .default(null)
    .describe('layers to compare, shallow to deep; null: all stages of the student, before their rectifiers');

/** Option of methods that compare the deepest stage unless told. */
export const lastStage = () =>
  z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe('layer to compare; null: the last stage of the student');

/** Option of methods that compare vectors. */
export const vectorLayer = () =>
  z.string().min(1).default('embedding').describe('layer to compare, a vector for each sample');

/** The option that a choice was made by, for messages: `Options of at: layers`. */
export interface Chooser {
  readonly method: string;
  readonly option: 'layer' | 'layers';
}

/** @throws {UsageError} when the student has none of a name */
export function chosenLayers(
  chooser: Chooser,
  chosen: readonly string[],
  available: readonly string[],
): readonly string[] {
  for (const layer of chosen) expectLayer(chooser, layer, 'student', available);
  return chosen;
}

/** @throws {UsageError} when the student has none of a name, or no stages */
export function chosenStages(
  chooser: Chooser,
  chosen: readonly string[] | null,
  available: readonly string[],
): readonly string[] {
  return chosenLayers(chooser, chosen ?? stagesOf(chooser, available), available);
}

/**
 * As {@link chosenStages}, but where nothing is chosen the maps before the rectifiers, of a student that has them.
 *
 * @throws {UsageError} as {@link chosenStages}
 */
export function chosenPreacts(
  chooser: Chooser,
  chosen: readonly string[] | null,
  available: readonly string[],
): readonly string[] {
  if (chosen) return chosenLayers(chooser, chosen, available);
  const stages = available.map((layer) => layer.replace(/^preact(?=\d+$)/, 'stage'));
  return stagesOf(chooser, [...new Set(stages)]).map((stage) => {
    const preact = stage.replace('stage', 'preact');
    return available.includes(preact) ? preact : stage;
  });
}

/** @throws {UsageError} as {@link chosenStages} */
export function chosenStage(chooser: Chooser, chosen: string | null, available: readonly string[]): string {
  return chosenStages(chooser, chosen === null ? null : [chosen], available).at(-1)!;
}

/** The stages, shallow to deep, in whatever order they are given. */
function stagesOf({ method, option }: Chooser, available: readonly string[]): string[] {
  const numbered = available.filter((layer) => /^stage\d+$/.test(layer));
  if (numbered.length === 0) {
    throw new UsageError(
      `Options of ${method}: ${option}: the student has no stages to compare. ${theLayers('It has', available)} ` +
        'Choose another model, or name layers that hold maps.',
    );
  }
  return numbered.sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
}

const theLayers = (start: string, layers: readonly string[]): string =>
  layers.length > 0 ? `${start} ${layers.join(', ')}.` : `${start} no named layers.`;

function expectLayer(
  { method, option }: Chooser,
  layer: string,
  who: 'student' | 'teacher',
  available: readonly string[],
): void {
  if (available.includes(layer)) return;
  throw new UsageError(
    `Options of ${method}: ${option}: the ${who} has no layer "${layer}"${suggestion(layer, available)} ` +
      `${theLayers('It has', available)} Choose with distill.options.${option}.`,
  );
}

/**
 * The sizes of one layer in both networks.
 *
 * @throws {UsageError} when there is not one teacher, or it lacks the layer
 */
function shapesOf(
  setup: ModuleSetup,
  chooser: Chooser,
  layer: string,
): { readonly student: readonly number[]; readonly teacher: readonly number[] } {
  const { teacher } = setup;
  if (!teacher) {
    throw new UsageError(
      `${chooser.method} compares layers with those of one teacher, and this student has none or several.`,
    );
  }
  expectLayer(chooser, layer, 'student', Object.keys(setup.student));
  expectLayer(chooser, layer, 'teacher', Object.keys(teacher));
  return { student: setup.student[layer]!, teacher: teacher[layer]! };
}

/** @throws {UsageError} when one of the two has no such layer, or it is no map */
export function mapShapes(
  setup: ModuleSetup,
  chooser: Chooser,
  layer: string,
): { readonly student: MapShape; readonly teacher: MapShape } {
  const shapes = shapesOf(setup, chooser, layer);
  for (const shape of Object.values(shapes)) {
    if (shape.length !== 3) refuse(chooser, `"${layer}" is a vector of ${shape.join(' x ')}, not a map`);
  }
  return shapes as unknown as { student: MapShape; teacher: MapShape };
}

/** @throws {UsageError} when one of the two has no such layer, or it is no vector */
export function vectorWidths(
  setup: ModuleSetup,
  chooser: Chooser,
  layer: string,
): { readonly student: number; readonly teacher: number } {
  const shapes = shapesOf(setup, chooser, layer);
  for (const shape of Object.values(shapes)) {
    if (shape.length !== 1) refuse(chooser, `"${layer}" is a map of ${shape.join(' x ')}, not a vector`);
  }
  return { student: shapes.student[0]!, teacher: shapes.teacher[0]! };
}

/**
 * For encodings that are made of whole maps: only the student's own can still be averaged down.
 *
 * @throws {UsageError} when the teacher's map is larger
 */
export function expectTeacherNotLarger(setup: ModuleSetup, chooser: Chooser, layer: string): void {
  const { student, teacher } = mapShapes(setup, chooser, layer);
  if (teacher[0] <= student[0] && teacher[1] <= student[1]) return;
  refuse(
    chooser,
    `the teacher's ${layer} is ${sizeOf(teacher)}, larger than the student's ${sizeOf(student)}, and is reduced ` +
      'before it is sent, so it cannot be averaged down any more',
  );
}

export const sizeOf = ([height, width]: readonly number[]): string => `${height} x ${width}`;

/** @throws {UsageError} always */
export function refuse({ method, option }: Chooser, why: string): never {
  throw new UsageError(
    `Options of ${method}: ${option}: ${why}. Choose other layers with distill.options.${option}, or other models.`,
  );
}

/** A need's layers: one, or the two of a pair, joined by `+`. */
export const layersOf = (layer: string): string[] => layer.split('+');

/** The shapes of a need's layers. */
export const shapesFor = (layer: string, shapes: FeatureShapes): (readonly number[])[] =>
  layersOf(layer).map((each) => shapes[each]!);
