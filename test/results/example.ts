import type {
  Evaluation,
  MethodSummary,
  MetricsRecord,
  PeerSummary,
  RunSummary,
} from '../../src/results/types.ts';

export function evaluation(accuracy: number, nll = 0.7, ece = 0.05): Evaluation {
  return { accuracy, nll, ece };
}

export function peer(name: string, test: Evaluation | null, changes: Partial<PeerSummary> = {}): PeerSummary {
  return {
    name,
    role: 'student',
    model: 'cnn-s',
    parameters: 93_322,
    backend: 'wasm',
    device: 'AMD EPYC 7763',
    refusedBackends: [],
    outcome: 'finished',
    quarantined: null,
    steps: 775,
    test,
    imagesPerSecond: 812.4,
    bytesUp: 1_004_400,
    bytesDown: 1_033_000,
    waitFraction: 0.031,
    distillationOverhead: 0.042,
    stepMs: 78.8,
    weightsDigest: 'c0ffee'.repeat(10).padEnd(64, '0'),
    ...changes,
  };
}

export function methodSummary(
  method: string,
  peers: readonly PeerSummary[],
  changes: Partial<MethodSummary> = {},
): MethodSummary {
  return {
    method,
    testSamples: 10_000,
    peers,
    ensemble: null,
    agreement: null,
    exchange: { rounds: 0, missed: {}, staleness: 0 },
    interrupted: false,
    seconds: 62.3,
    ...changes,
  };
}

/** A run of `dml` on 10,000 test samples. */
export function runSummary(
  peers: readonly PeerSummary[],
  compare: readonly MethodSummary[],
  changes: Partial<RunSummary> = {},
): RunSummary {
  return {
    ...methodSummary('dml', peers, { exchange: { rounds: 625, missed: { deadline: 3 }, staleness: 0 } }),
    schemaVersion: 1,
    experiment: {
      name: 'quickstart',
      seed: 0,
      data: { dataset: 'fashion-mnist', trainSize: 2000, labelNoise: 0.3, batchSize: 64 },
      training: { epochs: 25, optimizer: { name: 'sgd', learningRate: 0.02 }, schedule: 'cosine' },
      distill: { method: 'dml', temperature: 2, burnInSteps: 150, rampUpSteps: 50 },
      exchange: { mode: 'lockstep', codec: 'float16' },
    },
    compare: Object.fromEntries(compare.map((other) => [other.method, other])),
    verdict: null,
    machine: { cpu: 'AMD EPYC 7763', cores: 2, memoryGiB: 8, node: 'v20.20.2' },
    ...changes,
  };
}

/** Two peers, `dml` beside `independent`, with a gain that exceeds noise. */
export function exampleRun(): RunSummary {
  return runSummary(
    [
      peer('peer-1', evaluation(0.774, 0.701, 0.041)),
      peer('peer-2', evaluation(0.784, 0.684, 0.037), { model: 'resnet8' }),
    ],
    [
      methodSummary(
        'independent',
        [
          peer('peer-1', evaluation(0.719, 0.842, 0.061), {
            bytesUp: 0,
            bytesDown: 0,
            distillationOverhead: null,
          }),
          peer('peer-2', evaluation(0.727, 0.823, 0.066), { bytesUp: 0, bytesDown: 0, model: 'resnet8' }),
        ],
        { ensemble: evaluation(0.757, 0.74, 0.09), agreement: 0.71 },
      ),
    ],
    { ensemble: evaluation(0.79, 0.66, 0.05), agreement: 0.861 },
  );
}

/** Training curves of every peer of a run: progress every 25 steps, an evaluation every 75. */
export function exampleMetrics({ peers }: MethodSummary): MetricsRecord[] {
  const time = '2026-01-01T00:00:00.000Z';
  return peers.flatMap((peer) =>
    Array.from({ length: 31 }, (_, i): MetricsRecord[] => {
      const step = (i + 1) * 25;
      const done = 1 - Math.exp(-step / 150);
      const { accuracy, nll, ece } = peer.test ?? evaluation(0.1);
      const progress: MetricsRecord = {
        kind: 'progress',
        time,
        peer: peer.name,
        step,
        steps: 775,
        loss: 2.3 - done,
        crossEntropy: 2 - done,
        distillation: 0.3,
        accuracy: 0.6 * done,
        learningRate: 0.02,
        distillationWeight: 2,
        imagesPerSecond: 800,
        waitFraction: 0.03,
      };
      if (step % 75 !== 0 && step !== 775) return [progress];
      const measured = { accuracy: accuracy * done, nll: nll / done, ece };
      return [progress, { kind: 'evaluation', time, peer: peer.name, step, ...measured }];
    }).flat(),
  );
}
