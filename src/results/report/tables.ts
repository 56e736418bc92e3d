import { methodsOf, origin, trouble, troubleDetail } from '../compare.ts';
import { byteSize, count, decimal, percent, points, rate } from '../format.ts';
import type { Evaluation, EventRecord, PeerSummary, RunSummary } from '../types.ts';
import type { Chart } from './curves.ts';
import { type Html, html } from './html.ts';

/** Events shown at once; the others are folded away. */
const SHOWN_EVENTS = 50;

/** A table that scrolls by itself where the screen is narrower; it can be reached and scrolled by keyboard. */
function scrolling(label: string, table: Html): Html {
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}

/** A measure of quality besides accuracy. */
interface Measure {
  readonly name: string;
  /** What its name stands for; the same as the name where that says it. */
  readonly title: string;
  readonly of: (evaluation: Evaluation | null) => number | null;
  readonly show: (value: number | null) => string;
}

const MEASURES: readonly Measure[] = [
  {
    name: 'Top-5',
    title: 'true class among the five most likely',
    of: (evaluation) => evaluation?.top5 ?? null,
    show: percent,
  },
  {
    name: 'NLL',
    title: 'negative log-likelihood, nats',
    of: (evaluation) => evaluation?.nll ?? null,
    show: (value) => decimal(value, 3),
  },
  {
    name: 'Brier',
    title: 'Brier score, 0 to 2: squared distance of the probabilities from the true class',
    of: (evaluation) => evaluation?.brier ?? null,
    show: (value) => decimal(value, 3),
  },
  {
    name: 'ECE',
    title: 'expected calibration error, 15 bins',
    of: (evaluation) => evaluation?.ece ?? null,
    show: percent,
  },
];

/** Quality of every peer, of its generations together, and of the ensemble, methods below each other; only the measures that somebody has. */
export function qualityTable(summary: RunSummary): Html {
  const methods = methodsOf(summary);
  const tested = methods.flatMap(({ peers, ensemble }) => [...peers.map(({ test }) => test), ensemble]);
  const columns: Columns = {
    measures: MEASURES.filter((measure) => tested.some((evaluation) => measure.of(evaluation) !== null)),
    best: methods.some(({ peers }) => peers.some(({ best }) => best !== undefined)),
  };
  const heads = columns.measures.map(
    ({ name, title }) => html`<th scope="col" class="n"><abbr title="${title}">${name}</abbr></th>`,
  );
  const best = columns.best
    ? html`<th scope="col" class="n">Best epoch<small>chosen on the test set</small></th>`
    : '';
  const peers = summary.peers.map(({ name, model }, i) => {
    const same = methods.map((method) => method.peers.find((peer) => peer.name === name));
    const heading = html`<i class="dot c${i % 8}"></i>${name}<small>${model}</small>`;
    return qualityRows(
      heading,
      methods.map(({ method }, j) => ({ method, peer: same[j], evaluation: same[j]?.test ?? null })),
      columns,
    );
  });
  const generations = summary.peers.flatMap(({ name }, i) => {
    const same = methods.map(({ peers }) => peers.find((peer) => peer.name === name)?.generations ?? null);
    if (same.every((each) => each === null)) return [];
    const rows = methods.map(({ method }, j) => ({
      ...{ method, peer: undefined, evaluation: same[j]?.ensemble ?? null },
    }));
    return qualityRows(
      html`<i class="dot c${i % 8}"></i>${name}<small>mean of its generations' probabilities</small>`,
      rows,
      columns,
    );
  });
  const ensemble = methods.some((method) => method.ensemble !== null)
    ? qualityRows(
        html`ensemble<small>mean of the peers' probabilities</small>`,
        methods.map(({ method, ensemble }) => ({ method, peer: undefined, evaluation: ensemble })),
        columns,
      )
    : '';
  return scrolling(
    'Results by peer and method',
    html`<table class="quality">
<caption>Quality on the ${count(summary.testSamples)} test images after the last step</caption>
<thead><tr><th scope="col">Peer</th><th scope="col">Method</th><th scope="col" class="n">Accuracy</th>
<th scope="col" class="n">${summary.method} gains</th>${heads}${best}</tr></thead>
${peers}${generations}${ensemble}</table>`,
  );
}

interface QualityRow {
  readonly method: string;
  readonly peer: PeerSummary | undefined;
  readonly evaluation: Evaluation | null;
}

interface Columns {
  readonly measures: readonly Measure[];
  /** Whether there is a column for the best epoch. */
  readonly best: boolean;
}

function qualityRows(heading: Html, rows: readonly QualityRow[], columns: Columns): Html {
  const ours = rows[0]?.evaluation ?? null;
  const lines = rows.map(({ method, peer, evaluation }, i) => {
    const head = i === 0 ? html`<th scope="rowgroup" rowspan="${rows.length}">${heading}</th>` : '';
    const cells = columns.measures.map(({ of, show }) => html`<td class="n">${show(of(evaluation))}</td>`);
    return html`<tr>${head}<td>${method}${peer === undefined ? '' : markOf(peer)}</td>
<td class="n strong">${percent(evaluation?.accuracy ?? null)}</td>${i === 0 ? html`<td></td>` : gainCell(ours, evaluation)}
${cells}${columns.best ? bestCell(peer) : ''}</tr>`;
  });
  return html`<tbody>${lines}</tbody>`;
}

function bestCell(peer: PeerSummary | undefined): Html {
  const { best } = peer ?? {};
  return best === undefined
    ? html`<td class="n">–</td>`
    : html`<td class="n">${percent(best.accuracy)}<small>step ${count(best.step)}</small></td>`;
}

function gainCell(ours: Evaluation | null, theirs: Evaluation | null): Html {
  if (ours === null || theirs === null) return html`<td class="n">–</td>`;
  const gain = points(ours.accuracy - theirs.accuracy);
  const kind = gain.startsWith('+') ? 'up' : gain.startsWith('-') ? 'down' : '';
  return html`<td class="n ${kind}">${gain.replace('-', '−')}<small> points</small></td>`;
}

function markOf(peer: PeerSummary): Html {
  const state = trouble(peer);
  const began = origin(peer);
  return html`${state === null ? '' : html` <strong class="mark" title="${troubleDetail(peer)}">${state}</strong>`}${
    began === null ? '' : html` <small>${began}</small>`
  }`;
}

/** Speed, waiting, overhead and traffic of every peer under every method. */
export function timeTable(summary: RunSummary): Html {
  const methods = methodsOf(summary);
  const fastest = Math.max(...methods.flatMap(({ peers }) => peers.map((peer) => peer.imagesPerSecond)));
  const bodies = summary.peers.map(({ name }, i) => {
    const lines = methods.flatMap(({ method, peers }) => {
      const peer = peers.find((each) => each.name === name);
      if (peer === undefined) return [];
      return html`<tr><th scope="row"><i class="dot c${i % 8}"></i>${name}</th><td>${method}</td>
<td>${peer.backend}<small>${peer.device}</small></td>
<td class="n">${rate(peer.imagesPerSecond)}${bar(peer.imagesPerSecond / fastest)}</td>
<td class="n">${peer.stepMs === null ? '–' : `${decimal(peer.stepMs, 1)} ms`}</td>
<td class="n">${percent(peer.waitFraction)}${bar(peer.waitFraction)}</td>
<td class="n">${peer.distillationOverhead === null ? '–' : `${points(peer.distillationOverhead)} %`}</td>
<td class="n">${byteSize(peer.bytesUp)}</td><td class="n">${byteSize(peer.bytesDown)}</td></tr>`;
    });
    return html`<tbody>${lines}</tbody>`;
  });
  return scrolling(
    'Time and traffic by peer and method',
    html`<table><caption>Overhead: time of a step relative to the same peer trained alone in this run</caption>
<thead><tr><th scope="col">Peer</th><th scope="col">Method</th><th scope="col">Backend</th><th scope="col" class="n">Images/s</th>
<th scope="col" class="n">Step</th><th scope="col" class="n">Waiting</th><th scope="col" class="n">Overhead</th>
<th scope="col" class="n">Sent</th><th scope="col" class="n">Received</th></tr></thead>${bodies}</table>`,
  );
}

/** A bar below a number that says the same; `share` is 0-1. */
function bar(share: number): Html {
  const width = Number.isFinite(share) ? Math.max(0, Math.min(1, share)) * 100 : 0;
  return html`<span class="bar" aria-hidden="true"><span style="width:${width.toFixed(1)}%"></span></span>`;
}

/** The points of a chart as a table. */
export function chartTable(chart: Chart): Html {
  const [steps = [], ...columns] = chart.data;
  const show = (value: number | null): string => (chart.percent ? percent(value) : decimal(value, 3));
  const rows = steps.map((step, i) => {
    const cells = columns.map((column) => html`<td class="n">${show(column[i] ?? null)}</td>`);
    return html`<tr><th scope="row" class="n">${step ?? ''}</th>${cells}</tr>`;
  });
  const heads = chart.lines.map(({ label }) => html`<th scope="col" class="n">${label}</th>`);
  return scrolling(
    chart.title,
    html`<table><thead><tr><th scope="col" class="n">Step</th>${heads}</tr></thead><tbody>${rows}</tbody></table>`,
  );
}

export function eventsTable(events: readonly EventRecord[]): Html {
  if (events.length === 0) return html`<p>Nothing out of the ordinary was recorded.</p>`;
  const folded = events.slice(SHOWN_EVENTS);
  const more = html`<details><summary>${count(folded.length)} more events</summary>${eventRows(folded)}</details>`;
  return html`${eventRows(events.slice(0, SHOWN_EVENTS))}${folded.length === 0 ? '' : more}`;
}

function eventRows(events: readonly EventRecord[]): Html {
  const rows = events.map(
    ({ time, event, peer, round, reason }) =>
      html`<tr><td class="time">${time.slice(11, 19)}</td><td>${event}</td><td>${peer ?? ''}</td>
<td class="n">${round ?? ''}</td><td>${reason ?? ''}</td></tr>`,
  );
  return scrolling(
    'Events',
    html`<table class="events"><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Event</th><th scope="col">Peer</th>
<th scope="col" class="n">Round</th><th scope="col">Why</th></tr></thead><tbody>${rows}</tbody></table>`,
  );
}
