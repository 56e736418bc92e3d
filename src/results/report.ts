import { meanEvaluation, meanOfPairs, methodsOf, pairPeers, referencesOf, testedPeers } from './compare.ts';
import { count, duration, list, percent, points } from './format.ts';
import { type Chart, chartsOf } from './report/curves.ts';
import { type Html, html } from './report/html.ts';
import { page } from './report/page.ts';
import { chartTable, eventsTable, qualityTable, timeTable } from './report/tables.ts';
import { describeExperiment, titleOf } from './report/words.ts';
import type { EventRecord, MetricsRecord, RunSummary } from './types.ts';

/** What a report is made of. */
export interface ReportInput {
  readonly summary: RunSummary;
  /** The records of `metrics.ndjson`, by method: the run's own and those under `compare`. */
  readonly metrics: Readonly<Record<string, readonly MetricsRecord[]>>;
  readonly events: readonly EventRecord[];
}

/** Renders a run as one HTML page that needs no other file and no network. */
export function renderReport({ summary, metrics, events }: ReportInput): string {
  const { name, sentences, distillationFrom } = describeExperiment(summary);
  const title = titleOf(summary, name);
  const charts = chartsOf(summary, metrics);
  const body = html`<main>
${header(summary, title)}
${tiles(summary)}
${sentences.length === 0 ? '' : html`<section><h2>What was done</h2><p>${prose(sentences)}</p></section>`}
<section><h2>Results</h2>${qualityTable(summary)}</section>
${charts.length === 0 ? '' : html`<section><h2>Training</h2>${charts.map(figure)}</section>`}
<section><h2>Time and traffic</h2>${methodsOf(summary).map(exchangeLine)}${timeTable(summary)}</section>
<section><h2>Events</h2>${eventsTable(events)}</section>
${reproduction(summary)}
</main>
<footer>Written by codistill.</footer>`;
  return page(title, body, { charts, distillationFrom });
}

function header(summary: RunSummary, title: string): Html {
  // The first sentence is what to remember; the rest is what to know before repeating it.
  const [first = '', ...rest] = (summary.verdict ?? '').split(/(?<=\.) (?=[A-Z])/);
  const cut = methodsOf(summary).filter(({ interrupted }) => interrupted);
  const warning = html`<p class="warning"><strong>Interrupted:</strong> ${list(cut.map(({ method }) => method))} did not run to its end.</p>`;
  return html`<header><h1>${title}</h1>
${cut.length === 0 ? '' : warning}
${first === '' ? '' : html`<p class="verdict">${prose([first])}</p>`}
${rest.length === 0 ? '' : html`<p class="more">${prose(rest)}</p>`}</header>`;
}

/** Running text, in which no line begins with a per cent sign. */
function prose(sentences: readonly string[]): string {
  return sentences.join(' ').replaceAll(' %', '\u00a0%');
}

function tiles(summary: RunSummary): Html {
  const tested = testedPeers(summary).filter(({ role }) => role === 'student');
  const compared = referencesOf(summary)
    .slice(0, 1)
    .flatMap((other) => {
      const { ours, theirs } = meanOfPairs(pairPeers(summary, other));
      const gain = points(ours.accuracy - theirs.accuracy).replace('-', '−');
      return [
        [`Mean accuracy, ${other.method}`, percent(theirs.accuracy)],
        [`Points gained over ${other.method}`, gain],
      ];
    });
  const facts = [
    ...(tested.length === 0
      ? []
      : [[`Mean accuracy, ${summary.method}`, percent(meanEvaluation(tested).accuracy)]]),
    ...compared,
    ...(summary.ensemble === null
      ? []
      : [[`Ensemble, ${summary.method}`, percent(summary.ensemble.accuracy)]]),
    ...(summary.agreement === null ? [] : [['Peers agree on', percent(summary.agreement)]]),
  ];
  return html`<dl class="tiles">${facts.map(([term = '', value = '']) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function figure(chart: Chart): Html {
  const table = html`<details><summary>Values as a table</summary>${chartTable(chart)}</details>`;
  return html`<figure><figcaption><h3>${chart.title}</h3></figcaption>
<div class="chart" id="chart-${chart.id}"><noscript>${chart.description}</noscript></div>
${table}</figure>`;
}

function exchangeLine({ method, seconds, exchange }: ReturnType<typeof methodsOf>[number]): Html {
  const missed = Object.entries(exchange.missed).filter(([, times]) => times > 0);
  const why = missed.map(([reason, times]) => `${reason} ${count(times)}`).join(', ');
  const rounds =
    exchange.rounds === 0 && missed.length === 0
      ? ''
      : `, ${count(exchange.rounds)} rounds of exchange, ${missed.length === 0 ? 'no target missed' : `targets missed: ${why}`}`;
  return html`<p><strong>${method}</strong>: ${duration(seconds)}${rounds}.</p>`;
}

function reproduction({ experiment, machine, peers, method }: RunSummary): Html {
  const digests = peers.flatMap(({ name, weightsDigest }) =>
    weightsDigest === null
      ? []
      : [html`<dt>${name}</dt><dd class="digest"><code>${weightsDigest}</code></dd>`],
  );
  return html`<section><h2>How to reproduce</h2>
<p>In the folder of this run:</p><pre><code>codistill run experiment.json</code></pre>
<p>The same experiment on the same backend gives the same weights. It ran on ${machine.cpu}, ${machine.cores} cores,
${machine.memoryGiB} GiB of memory, Node.js ${machine.node}.</p>
<details><summary>Experiment settings</summary><pre><code>${JSON.stringify(experiment, null, 2)}</code></pre></details>
<details><summary>SHA-256 of the final weights (${method})</summary><dl>${digests}</dl></details></section>`;
}
