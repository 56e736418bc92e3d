import { UsageError } from '../errors.ts';
import { getMethod } from './index.ts';
import { type AnyMethod, createObjective, type Objective, type Request } from './objective.ts';

/** The section `distill` of an experiment, as far as it decides the loss. */
export interface DistillSettings {
  readonly method: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly temperature?: number;
  readonly ceWeight?: number;
  readonly kdWeight?: number;
  readonly standardise: boolean;
  readonly burnInSteps: number;
  readonly methods?: readonly {
    readonly name: string;
    readonly weight?: number;
    readonly options: Readonly<Record<string, unknown>>;
  }[];
}

/**
 * The loss that an experiment asks for.
 *
 * @param methods by name, those of the user's own modules by their path; those of the registry when absent
 * @throws {UsageError} for an unknown method, options that it does not have, or methods that cannot be added up
 */
export function objectiveFrom(
  settings: DistillSettings,
  methods?: Readonly<Record<string, AnyMethod>>,
): Objective {
  const { method, options, kdWeight, temperature } = settings;
  const single = { name: method, options, ...(kdWeight !== undefined && { weight: kdWeight }) };
  const requests = (settings.methods ?? [single]).map(({ name, ...term }): Request => {
    const found = getMethod(name, methods);
    const tempered = temperature !== undefined && 'temperature' in found.options.parse({});
    return { ...term, method: found, options: { ...(tempered && { temperature }), ...term.options } };
  });
  const objective = createObjective(requests, settings);
  const early = objective.terms.find(({ method }) => method.init);
  if (early && settings.burnInSteps > 0) {
    throw new UsageError(
      `distill.burnInSteps: expected 0 with ${early.method.name}, which needs its teacher from the first step on, got ${settings.burnInSteps}.`,
    );
  }
  return objective;
}
