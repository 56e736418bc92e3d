import type { MethodSummary, PeerStatus } from '../src/results/types.ts';
import type { Student } from './student.ts';
import type { WorkResult } from './work.ts';

/** What came out of a student that trained without any others. */
export function summariseAlone(training: {
  readonly method: string;
  readonly status: PeerStatus;
  readonly student: Student;
  readonly result: WorkResult;
  /** Which evaluations the experiment asks for. */
  readonly report: 'last' | 'best';
  readonly seconds: number;
}): MethodSummary {
  const { method, status, student, result, report, seconds } = training;
  const { name, model, backend, device, refusedBackends, collapsed } = status;
  return {
    method,
    testSamples: student.dataset.test.count,
    peers: [
      {
        name,
        role: 'student',
        model,
        parameters: student.parameterCount,
        backend,
        device,
        refusedBackends: refusedBackends ?? [],
        outcome: result.outcome,
        ...(collapsed !== null && { collapsed }),
        quarantined: null,
        steps: result.step,
        test: result.final?.evaluation ?? null,
        ...(result.best && report === 'best' && { best: result.best }),
        imagesPerSecond: result.log.imagesPerSecond,
        bytesUp: 0,
        bytesDown: 0,
        waitFraction: result.log.waitFraction,
        stepMs: result.log.stepMs,
        distillationOverhead: null,
        weightsDigest: result.weightsDigest,
      },
    ],
    ensemble: null,
    agreement: null,
    exchange: { rounds: 0, missed: {}, staleness: 0 },
    interrupted: result.outcome === 'interrupted',
    seconds,
  };
}
