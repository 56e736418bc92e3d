import { z } from 'zod';
import { type Refuse, rule } from './rules.ts';

const share = z.number().min(0).lt(1);

/** What an optimiser does unless the experiment says otherwise: the keys that it has besides those of all. */
const DEFAULTS = {
  sgd: { learningRate: 0.02, weightDecay: 5e-4, momentum: 0.9, nesterov: false, decoupled: false },
  adam: { learningRate: 1e-3, weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  adamw: { learningRate: 1e-3, weightDecay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
} as const;

const given = z.strictObject({
  name: z
    .enum(['sgd', 'adam', 'adamw'])
    .default('sgd')
    .describe('rule that turns gradients into updates: adamw is adam with decoupled weight decay'),
  learningRate: z
    .number()
    .positive()
    .exactOptional()
    .describe('size of an update, at its highest; 0.02 when absent, 0.001 for adam and adamw'),
  momentum: share
    .exactOptional()
    .describe('of sgd: share of the previous update that is kept; 0.9 when absent'),
  nesterov: z
    .boolean()
    .exactOptional()
    .describe("of sgd: whether momentum looks one update ahead (Nesterov's form); false when absent"),
  beta1: share
    .exactOptional()
    .describe('of adam and adamw: share of the mean of the gradients that is kept; 0.9 when absent'),
  beta2: share
    .exactOptional()
    .describe('of adam and adamw: share of the mean of their squares that is kept; 0.999 when absent'),
  epsilon: z
    .number()
    .positive()
    .exactOptional()
    .describe('of adam and adamw: added to the root of that mean; 1e-8 when absent'),
  weightDecay: z
    .number()
    .min(0)
    .exactOptional()
    .describe('pulls weights towards 0; 0.0005 when absent, 0 for adam, 0.01 for adamw'),
  decoupled: z
    .boolean()
    .exactOptional()
    .describe('of sgd: whether weight decay is kept out of the gradient and its momentum; false when absent'),
  decayNormAndBias: z
    .boolean()
    .default(true)
    .describe('whether weight decay is done to biases and to the parameters of normalisation, too'),
  weightDecaySchedule: z
    .enum(['constant', 'milestones'])
    .default('constant')
    .describe(
      'course of the weight decay: constant, or a tenth from the first of training.milestones on and 0 from the second on',
    ),
});

type Given = z.infer<typeof given>;
type Common = Required<
  Pick<Given, 'learningRate' | 'weightDecay' | 'decayNormAndBias' | 'weightDecaySchedule'>
>;

/** With all defaults, and no key of another optimiser. */
export type ResolvedOptimizer =
  | ({ name: 'sgd' } & Common & Required<Pick<Given, 'momentum' | 'nesterov' | 'decoupled'>>)
  | ({ name: 'adam' | 'adamw' } & Common & Required<Pick<Given, 'beta1' | 'beta2' | 'epsilon'>>);

/** The section `training.optimizer`. */
export const optimizer = given
  .superRefine(rule(keysSuitOptimizer))
  .transform((settings) => ({ ...DEFAULTS[settings.name], ...settings }) as ResolvedOptimizer)
  .prefault({});

function keysSuitOptimizer(settings: Given, refuse: Refuse): void {
  const { name, nesterov, momentum } = settings;
  for (const key of ['momentum', 'nesterov', 'decoupled', 'beta1', 'beta2', 'epsilon'] as const) {
    if (settings[key] === undefined || key in DEFAULTS[name]) continue;
    const owners = key in DEFAULTS.sgd ? 'sgd' : 'adam and adamw';
    const hint = key === 'decoupled' ? '; adamw is adam with decoupled weight decay' : '';
    refuse([key], `belongs to ${owners}, and the optimizer is ${name}${hint}`);
  }
  if (nesterov && momentum === 0) refuse(['nesterov'], 'expected false without momentum, got true');
}
