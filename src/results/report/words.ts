import { experimentSchema } from '../../config/schema.ts';
import { methodsOf, trained } from '../compare.ts';
import { count, list, percent } from '../format.ts';
import type { RunSummary } from '../types.ts';

/** What an experiment is called and did, in plain words, as far as its settings can be read. */
export interface ExperimentWords {
  readonly name: string;
  readonly sentences: readonly string[];
  /** First step that was taught by others; null when none was. */
  readonly distillationFrom: number | null;
}

const HOW_METHODS_TEACH: Readonly<Record<string, string>> = {
  dml:
    'In deep mutual learning (dml) every peer sends its predictions for a batch to a coordinator, and learns from the ' +
    'mean prediction of the others beside the labels',
  'self-ema':
    'In self-distillation (self-ema) every peer also learns from the moving average of its own weights',
  independent: 'Every peer was trained alone, on the labels',
};

export function describeExperiment(summary: RunSummary): ExperimentWords {
  const parsed = experimentSchema.safeParse(summary.experiment);
  if (!parsed.success) return { name: 'codistill run', sentences: [], distillationFrom: null };
  const { name, seed, data, training, distill, exchange } = parsed.data;
  const taught = summary.method !== 'independent';
  const size =
    data.trainSize === undefined ? 'all training images' : `${count(data.trainSize)} training images`;
  const steps = Math.max(...summary.peers.map((peer) => peer.steps));
  const rest = Object.values(summary.compare).map(({ method }) => trained(method));
  return {
    name,
    distillationFrom: taught ? distill.burnInSteps : null,
    sentences: [
      `${models(summary)} learned ${data.dataset} from ${size}${
        data.labelNoise === 0
          ? ''
          : `, of which ${percent(data.labelNoise).replace('.0', '')} carried a wrong label on purpose`
      }, and were tested on ${count(summary.testSamples)} others.`,
      `Training took ${count(steps)} steps of ${data.batchSize} images (${training.epochs} epochs, seed ${seed}).`,
      `${HOW_METHODS_TEACH[summary.method] ?? `The method was ${summary.method}`}${
        taught && distill.burnInSteps > 0 ? `, from step ${distill.burnInSteps + 1} on` : ''
      }.`,
      ...(summary.method === 'dml'
        ? [
            `Predictions travelled as ${exchange.codec}${
              distill.temperature === undefined ? '' : `, softened with temperature ${distill.temperature}`
            }.`,
          ]
        : []),
      ...teachers(summary),
      ...generations(summary),
      ...(rest.length === 0
        ? []
        : [`For comparison the same peers, with the same initial weights and batches, were ${list(rest)}.`]),
    ],
  };
}

/** Such as `2 peers (cnn-s and resnet8)`. */
function models(summary: RunSummary): string {
  const peers = summary.peers.filter(({ role }) => role === 'student');
  const names = [...new Set(peers.map(({ model }) => model))].map((model) => {
    const times = peers.filter((peer) => peer.model === model).length;
    return times === 1 ? model : `${times} x ${model}`;
  });
  return peers.length === 1 ? `One peer (${names[0]})` : `${peers.length} peers (${list(names)})`;
}

/** Such as `Their teacher was a trained resnet14.` */
function teachers({ peers }: RunSummary): string[] {
  const models = peers.filter(({ role }) => role === 'teacher').map(({ model }) => model);
  if (models.length === 0) return [];
  return [
    models.length === 1
      ? `The teacher was a trained ${models[0]}.`
      : `The teachers were trained: ${list(models)}.`,
  ];
}

/** Such as `With born-again, cnn-s-1 was trained 3 times ...: ...`. */
function generations(summary: RunSummary): string[] {
  return methodsOf(summary).flatMap(({ method, peers }) =>
    peers.flatMap(({ name, generations }) => {
      if (!generations) return [];
      const each = generations.each.map(({ accuracy }) => percent(accuracy));
      return [
        `With ${method}, ${name} was trained ${each.length} times, alone at first and then taught by the one before: ` +
          `its generations predict ${list(each)} of the test images right, and the mean of their probabilities ` +
          `${percent(generations.ensemble.accuracy)}.`,
      ];
    }),
  );
}

/** Such as `quickstart: dml beside independent`. */
export function titleOf(summary: RunSummary, name: string): string {
  const [method, ...others] = methodsOf(summary).map((each) => each.method);
  return `${name}: ${method}${others.length === 0 ? '' : ` beside ${list(others)}`}`;
}
