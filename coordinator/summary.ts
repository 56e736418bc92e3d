import { hasNonFinite } from '../src/codec/index.ts';
import { methodLabel } from '../src/config/methods.ts';
import { meanOfAll } from '../src/ensemble/meanProbabilities.ts';
import type { MethodSummary, PeerSummary } from '../src/results/types.ts';
import { agreement, evaluateLogits } from '../src/training/metrics.ts';
import { byName, type Member } from './members.ts';
import { isComplete } from './predictions.ts';
import type { Run } from './runState.ts';
import { quarantineOf } from './suspects/suspects.ts';
import { summariseTraffic } from './traffic.ts';

/**
 * What came out of a run: each peer, the ensemble of the peers, and the exchange between them. Everything about quality
 * is computed here from the logits that the peers handed in, so that all of them are judged alike.
 *
 * @param seconds since the run was created
 */
export function summarise(run: Run, interrupted: boolean, seconds: number): MethodSummary {
  const members = byName(run.members);
  const students = members.filter(({ role }) => role === 'student');
  const complete = students.flatMap(({ name }) => {
    const predictions = run.predictions.get(name);
    // One that has diverged would make the mean of all NaN.
    return predictions && isComplete(predictions) && !hasNonFinite(predictions.logits) ? [predictions] : [];
  });
  const classes = members.find(({ ready }) => ready)?.ready?.classes ?? 0;
  const several = complete.length >= 2;
  const logits = complete.map((predictions) => predictions.logits);
  const labels = complete[0]?.labels;
  return {
    method: methodLabel(run.options.settings.distill),
    testSamples: members.find(({ ready }) => ready)?.ready?.testSize ?? 0,
    peers: members.map((member) => summarisePeer(run, member, classes, interrupted)),
    ensemble:
      several && labels ? evaluateLogits(meanOfAll(logits, labels.length, classes), labels, classes) : null,
    agreement: several ? agreement(logits, classes) : null,
    exchange: {
      ...{ rounds: run.committed, missed: { ...run.missed }, staleness: 0 },
      ...summariseTraffic(run),
    },
    interrupted,
    seconds,
  };
}

/** How a peer's work ended. A teacher is never done: it has finished when it is there to the end. */
function outcomeOf({ role, state, connected, done }: Member, interrupted: boolean): PeerSummary['outcome'] {
  if (done) return done.outcome;
  if (role === 'student' || state !== 'training') return 'lost';
  if (interrupted) return 'interrupted';
  return connected ? 'finished' : 'lost';
}

function summarisePeer(run: Run, member: Member, classes: number, interrupted: boolean): PeerSummary {
  const { name, model, backend, device, done, progress, collapsed, best, startedFrom } = member;
  const predictions = run.predictions.get(name);
  return {
    name,
    model,
    parameters: member.ready?.parameters ?? 0,
    backend,
    device,
    refusedBackends: member.ready?.refused ?? [],
    role: member.role,
    outcome: outcomeOf(member, interrupted),
    ...(collapsed !== null && { collapsed }),
    quarantined: quarantineOf(run.suspects, name),
    ...(startedFrom && { startedFrom }),
    steps: done?.step ?? progress?.step ?? 0,
    test:
      predictions && isComplete(predictions)
        ? evaluateLogits(predictions.logits, predictions.labels, classes)
        : null,
    ...(best && run.options.settings.training.report === 'best' && { best }),
    imagesPerSecond: done?.imagesPerSecond ?? progress?.imagesPerSecond ?? 0,
    bytesUp: member.bytesUp,
    bytesDown: member.bytesDown,
    waitFraction: done?.waitFraction ?? progress?.waitFraction ?? 0,
    stepMs: done?.stepMs ?? null,
    distillationOverhead: null,
    weightsDigest: done?.weights ?? null,
  };
}
