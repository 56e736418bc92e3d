import { summaryFile } from './summaryFile.ts';
import type { MethodSummary, PeerSummary, RunSummary } from './types.ts';

/** The summary of a run whose peers were trained with several methods, made of the summaries of each. */
export function combine(
  main: RunSummary,
  others: Readonly<Record<string, RunSummary>>,
  experiment: unknown,
): RunSummary {
  const control = main.method === 'independent' ? main : others.independent;
  const finish = (summary: RunSummary): MethodSummary => {
    const { method, testSamples, ensemble, agreement, exchange, interrupted, seconds } = summary;
    const peers = summary.peers.map((peer) => ({ ...peer, distillationOverhead: overhead(peer, control) }));
    return { method, testSamples, peers, ensemble, agreement, exchange, interrupted, seconds };
  };
  const compare = Object.fromEntries(Object.entries(others).map(([name, each]) => [name, finish(each)]));
  return summaryFile(finish(main), experiment, compare);
}

/** Time of a step relative to the same peer's in the control, minus 1. */
function overhead(peer: PeerSummary, control: RunSummary | undefined): number | null {
  const alone = control?.peers.find(({ name }) => name === peer.name);
  if (!alone || alone === peer || !alone.stepMs || peer.stepMs === null) return null;
  return peer.stepMs / alone.stepMs - 1;
}
