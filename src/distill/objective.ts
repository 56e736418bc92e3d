import { UsageError } from '../errors.ts';
import { suggestion } from '../names.ts';
import type { Method, ModuleSetup, Modules, Needs, TeacherKind } from './types.ts';
import { NO_MODULES } from './types.ts';

/** What `distill` of an experiment asks for: methods whose losses are added up. */
export interface Request {
  readonly method: AnyMethod;
  /** As in the experiment; not checked yet. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The method's own when absent. */
  readonly weight?: number;
}

// biome-ignore lint/suspicious/noExplicitAny: each method has options and modules of its own
export type AnyMethod = Method<any, any>;

/** One method of the loss, its options checked. */
export interface Term {
  readonly method: AnyMethod;
  readonly options: unknown;
  readonly weight: number;
}

/**
 * The loss of a student: `(1 + share · (ceWeight - 1)) · supervised + share · Σ weight · loss`, where the share is that of
 * the schedule, and 0 where nobody taught: there the labels count in full.
 */
export interface Objective {
  readonly terms: readonly Term[];
  readonly ceWeight: number;
  /** Whether logits are brought to mean 0 and deviation 1 over the classes before they are compared. */
  readonly standardise: boolean;
  /** Who teaches; the same for all terms that need anybody. */
  readonly teachers: TeacherKind;
}

/**
 * Checks what an experiment asks for.
 *
 * @throws {UsageError} for options that a method does not have, or methods that cannot be added up
 */
export function createObjective(
  requests: readonly Request[],
  {
    ceWeight,
    standardise = false,
  }: { readonly ceWeight?: number | undefined; readonly standardise?: boolean },
): Objective {
  const terms = requests.map(({ method, options, weight }) => ({
    method,
    options: parseOptions(method, options),
    weight: weight ?? method.weights.kd,
  }));
  const teachers = new Set(terms.map(({ method }) => method.teachers).filter((kind) => kind !== 'none'));
  if (teachers.size > 1) refuse('learn from different teachers', terms);
  const ensembles = new Set(
    terms
      .filter(({ method }) => method.teachers === 'peers')
      .map(({ method, options }) => `${method.ensemble?.(options)} ${method.includesSelf ?? false}`),
  );
  if (ensembles.size > 1) refuse('need different targets', terms);
  if (terms.filter(({ method }) => method.supervised).length > 1)
    refuse('each change how labels are learned', terms);
  if (new Set(terms.map(({ method }) => method.batch ?? 'plain')).size > 1)
    refuse('need different batches', terms);
  return {
    terms,
    ceWeight: ceWeight ?? terms[0]?.method.weights.ce ?? 1,
    standardise,
    teachers: [...teachers][0] ?? 'none',
  };
}

function refuse(why: string, terms: readonly Term[]): never {
  const names = terms.map(({ method }) => method.name).join(', ');
  throw new UsageError(`distill.methods: ${names} cannot be combined: they ${why}.`);
}

function parseOptions(method: AnyMethod, options: Readonly<Record<string, unknown>>): unknown {
  const parsed = method.options.safeParse(options);
  if (parsed.success) return parsed.data;
  const known = Object.keys(method.options.safeParse({}).data ?? {});
  const problems = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => `there is no option "${key}"${suggestion(key, known)}`)
      : [`${issue.path.join('.')}: ${issue.message}, got ${JSON.stringify(valueAt(options, issue.path))}.`],
  );
  const choice = known.length === 0 ? 'It has none.' : `Known: ${known.join(', ')}.`;
  throw new UsageError(`Options of ${method.name}: ${problems.join(' ')} ${choice}`);
}

function valueAt(options: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], options);
}

/** What one term needs, given the layers that the student has. */
export function needsOf({ method, options }: Term, layers: readonly string[]): Needs {
  return method.needs?.(options, layers) ?? { logits: method.teachers !== 'none', features: [] };
}

/** The name of an encoding among those of other layers and encoders. */
export const encodingKey = ({
  layer,
  encoder,
}: {
  readonly layer: string;
  readonly encoder: string;
}): string => `${layer}:${encoder}`;

/** The modules of each term, in their order. */
export function createModules({ terms }: Objective, setup: ModuleSetup): Modules[] {
  return terms.map(({ method, options }) => method.modules?.(setup, options) ?? NO_MODULES);
}
