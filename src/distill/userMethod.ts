import { z } from 'zod';
import { UsageError } from '../errors.ts';
import type { AnyMethod } from './objective.ts';
import type { TeacherKind } from './types.ts';

const TEACHERS: readonly TeacherKind[] = [
  'none',
  'peers',
  'ema',
  'generation',
  'previous-epoch',
  'previous-batch',
];

const aFunction = z.custom((value) => typeof value === 'function', { error: 'a function' });

/** What a module must say; all else of a `Method` may be there too. */
const essentials = z.looseObject({
  name: z
    .string({ error: 'a string' })
    .regex(/^[a-z0-9][a-z0-9-]*$/, 'lower-case letters, digits and dashes'),
  teachers: z.enum(TEACHERS, { error: `one of ${TEACHERS.join(', ')}` }),
  loss: aFunction.optional(),
  supervised: aFunction.optional(),
  options: z
    .custom((value) => typeof (value as z.ZodType | null)?.safeParse === 'function', {
      error: 'a schema of zod, such as z.strictObject({ ... })',
    })
    .optional(),
  weights: z.object({ ce: z.number(), kd: z.number() }, { error: 'numbers ce and kd' }).optional(),
});

/**
 * The method of a user's module: its default export, an object like those of src/distill/methods. Its summary, source,
 * options and weights may be left out.
 *
 * @param module what `import()` of the file gave
 * @param path the file, for messages
 * @throws {UsageError} that says what is missing
 */
export function methodFromModule(module: unknown, path: string): AnyMethod {
  const made = (module as { default?: unknown } | null | undefined)?.default;
  const parsed = essentials.safeParse(made);
  if (!parsed.success) {
    const { path: key, message } = parsed.error.issues[0]!;
    const where = ['default', ...key].join('.');
    throw new UsageError(`${path}: expected "export default" of a method; ${where}: expected ${message}.`);
  }
  const method = made as Partial<AnyMethod>;
  if (!method.loss && !method.supervised) {
    throw new UsageError(`${path}: expected a method with a function "loss", or "supervised".`);
  }
  return {
    summary: `the method of ${path}`,
    source: path,
    options: z.strictObject({}),
    weights: { ce: 1, kd: 1 },
    ...method,
  } as AnyMethod;
}
