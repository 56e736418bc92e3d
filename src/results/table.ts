import Table from 'cli-table3';
import { methodsOf, origin, trouble, troubleDetail } from './compare.ts';
import { byteSize, count, cut, decimal, duration, percent, points, rate, wrap } from './format.ts';
import type { Evaluation, MethodSummary, PeerSummary, RunSummary } from './types.ts';

/** Columns of the terminal that all of this fits in. */
const WIDTH = 100;
const NAME_WIDTH = 13;
const METHOD_WIDTH = 19;

/** The result of a run for a terminal: quality by peer, then cost by method, then what went wrong, then the verdict. */
export function resultTable(summary: RunSummary): string {
  return [
    qualityTable(summary),
    ...methodsOf(summary).map(costLines),
    ...bestLines(summary),
    ...troubleLines(summary),
    ...(summary.verdict === null ? [] : ['', wrap(summary.verdict, WIDTH)]),
  ].join('\n');
}

/** One row a peer, in it one line a method, so that the numbers to compare stand above each other. */
function qualityTable(summary: RunSummary): string {
  const methods = methodsOf(summary);
  const table = new Table({
    head: ['peer', 'model', 'method', 'accuracy', `${cut(summary.method, 8)} gains`, 'NLL', 'ECE'],
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { name, model } of summary.peers) {
    const peers = methods.map(({ peers }) => peers.find((peer) => peer.name === name));
    const labels = methods.map(({ method }, i) => methodLabel(method, peers[i]));
    table.push([
      cut(name, NAME_WIDTH),
      cut(model, NAME_WIDTH),
      labels.join('\n'),
      ...measures(peers.map((peer) => peer?.test ?? null)),
    ]);
  }
  for (const { name } of summary.peers) {
    const generations = methods.map(({ peers }) => peers.find((peer) => peer.name === name)?.generations);
    if (generations.every((each) => each === undefined)) continue;
    const labels = methods.map(({ method }) => cut(method, METHOD_WIDTH));
    const ensembles = generations.map((each) => each?.ensemble ?? null);
    table.push([cut(name, NAME_WIDTH), 'generations', labels.join('\n'), ...measures(ensembles)]);
  }
  if (methods.some(({ ensemble }) => ensemble !== null)) {
    const labels = methods.map(({ method }) => cut(method, METHOD_WIDTH));
    table.push(['ensemble', '', labels.join('\n'), ...measures(methods.map(({ ensemble }) => ensemble))]);
  }
  return table.toString();
}

function methodLabel(method: string, peer: PeerSummary | undefined): string {
  const state = peer === undefined ? null : trouble(peer);
  return state === null
    ? cut(method, METHOD_WIDTH)
    : `${cut(method, METHOD_WIDTH - 3 - state.length)} ! ${state}`;
}

/** The cells of accuracy, gain, NLL and ECE; the gain is in points, the first method minus the line's. */
function measures(evaluations: readonly (Evaluation | null)[]): string[] {
  const cell = (show: (evaluation: Evaluation | null) => string): string => evaluations.map(show).join('\n');
  const ours = evaluations[0] ?? null;
  const gains = evaluations.slice(1).map((theirs) => {
    return ours === null || theirs === null ? '–' : points(ours.accuracy - theirs.accuracy);
  });
  return [
    cell((evaluation) => percent(evaluation?.accuracy ?? null)),
    ['', ...gains].join('\n'),
    cell((evaluation) => decimal(evaluation?.nll ?? null, 3)),
    cell((evaluation) => percent(evaluation?.ece ?? null)),
  ];
}

function costLines({ method, seconds, agreement, exchange, peers, interrupted }: MethodSummary): string {
  const missed = Object.values(exchange.missed).reduce((sum, times) => sum + times, 0);
  const facts = [
    duration(seconds),
    ...(agreement === null ? [] : [`peers agree on ${percent(agreement)} of the test samples`]),
    ...(exchange.rounds + missed === 0
      ? []
      : [`${count(exchange.rounds)} rounds, ${count(missed)} targets missed`]),
  ];
  const heading = `${method}${interrupted ? ' (interrupted)' : ''}: ${facts.join('; ')}`;
  return ['', wrap(heading, WIDTH), ...peers.map(peerLine)].join('\n');
}

function peerLine(peer: PeerSummary): string {
  const facts = [
    `${rate(peer.imagesPerSecond)} img/s`,
    `waiting ${percent(peer.waitFraction)}`,
    ...(peer.distillationOverhead === null ? [] : [`overhead ${points(peer.distillationOverhead)} %`]),
    ...(peer.bytesUp + peer.bytesDown === 0
      ? []
      : [`${byteSize(peer.bytesUp)} up`, `${byteSize(peer.bytesDown)} down`]),
  ];
  return `  ${cut(peer.name, NAME_WIDTH)}: ${facts.join(', ')}`;
}

/** Only where the experiment asks for it: such an accuracy is too high, as the test set was looked at to choose it. */
function bestLines(summary: RunSummary): string[] {
  const lines = methodsOf(summary).flatMap(({ method, peers }) => {
    const found = peers.flatMap(({ name, best }) =>
      best ? [`${cut(name, NAME_WIDTH)} ${percent(best.accuracy)} at step ${count(best.step)}`] : [],
    );
    const heading = `best epoch (chosen on the test set), ${method}`;
    return found.length === 0 ? [] : [wrap(`${heading}: ${found.join(', ')}`, WIDTH)];
  });
  return lines.length === 0 ? [] : ['', ...lines];
}

function troubleLines(summary: RunSummary): string[] {
  const lines = methodsOf(summary).flatMap(({ method, peers }) =>
    peers.flatMap((peer) => {
      const state = trouble(peer);
      const began = origin(peer);
      return [
        ...(state === null ? [] : [`! ${peer.name} (${method}) ${state}: ${troubleDetail(peer)}`]),
        ...(began === null ? [] : [`! ${peer.name} (${method}) ${began}`]),
      ].map((line) => wrap(line, WIDTH));
    }),
  );
  return lines.length === 0 ? [] : ['', ...lines];
}
