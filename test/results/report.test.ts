import { describe, expect, test } from 'vitest';
import { chartsOf } from '../../src/results/report/curves.ts';
import { html, scriptJson } from '../../src/results/report/html.ts';
import { renderReport } from '../../src/results/report.ts';
import type { EventName, EventRecord, MetricsRecord, RunSummary } from '../../src/results/types.ts';
import { verdict } from '../../src/results/verdict.ts';
import { evaluation, exampleMetrics, exampleRun, peer, runSummary } from './example.ts';

function render(summary: RunSummary, events: readonly EventRecord[] = []): string {
  return renderReport({ summary, metrics: metricsOf(summary), events });
}

function metricsOf(summary: RunSummary): Record<string, MetricsRecord[]> {
  const compared = Object.values(summary.compare).map((other) => [other.method, exampleMetrics(other)]);
  return { [summary.method]: exampleMetrics(summary), ...Object.fromEntries(compared) };
}

/** What a reader sees: text without tags, scripts and styles. */
function textOf(page: string): string {
  return page
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
}

describe('renderReport', () => {
  test('says what was done, what came out and how to do it again', () => {
    const run = exampleRun();
    const text = textOf(render({ ...run, verdict: verdict(run) }));
    for (const part of [
      'quickstart: dml beside independent',
      'Co-distilled peers: 77.9 % mean accuracy, +5.6 points over the same peers trained alone',
      'from 2,000 training images, of which 30 % carried a wrong label on purpose',
      'peer-2 resnet8 dml 78.4 %',
      'independent 72.7 % +5.7 points 0.823 6.6 %',
      "ensemble mean of the peers' probabilities dml 79.0 %",
      '625 rounds of exchange, targets missed: deadline 3',
      'codistill run experiment.json',
    ]) {
      expect(text.replaceAll('\u00a0', ' ')).toContain(part);
    }
  });

  test('has a column for each measure that somebody has, and for the best epoch where it is asked for', () => {
    const told = { ...evaluation(0.774, 0.701, 0.041), brier: 0.3456, top5: 0.987 };
    const run = runSummary(
      [
        peer('peer-1', told, { best: { ...told, accuracy: 0.8, step: 600 } }),
        peer('peer-2', evaluation(0.7, 0.9, 0.05)),
      ],
      [],
    );
    const text = textOf(render(run));
    expect(text).toContain('dml gains Top-5 NLL Brier ECE Best epoch chosen on the test set');
    expect(text).toContain('peer-1 cnn-s dml 77.4 % 98.7 % 0.701 0.346 4.1 % 80.0 % step 600');
    expect(text).toContain('peer-2 cnn-s dml 70.0 % – 0.900 – 5.0 % –');
    expect(textOf(render(exampleRun()))).toContain('dml gains NLL ECE peer-1');
  });

  test('says in words what the generations of a peer are together', () => {
    const generations = {
      each: [evaluation(0.68), evaluation(0.691), evaluation(0.7)],
      ensemble: evaluation(0.745, 0.6, 0.02),
    };
    const text = textOf(render(runSummary([peer('peer-1', evaluation(0.7), { generations })], [])));
    expect(text.replaceAll('\u00a0', ' ')).toContain(
      'With dml, peer-1 was trained 3 times, alone at first and then taught by the one before: its generations predict ' +
        '68.0 %, 69.1 % and 70.0 % of the test images right, and the mean of their probabilities 74.5 %.',
    );
    expect(text).toContain("peer-1 mean of its generations' probabilities dml 74.5 % 0.600 2.0 %");
  });

  test('counts a teacher neither among those who learned nor in their mean', () => {
    const teacher = peer('teacher-1', evaluation(0.9), { model: 'resnet14', role: 'teacher' });
    const text = textOf(render(runSummary([peer('peer-1', evaluation(0.7)), teacher], [])));
    expect(text).toContain('One peer (cnn-s) learned');
    expect(text).toContain('The teacher was a trained resnet14.');
    expect(text.replaceAll('\u00a0', ' ')).toContain('Mean accuracy, dml 70.0 %');
  });

  test('does not speak of a temperature that is the method’s own', () => {
    const run = exampleRun();
    const { distill, ...rest } = run.experiment as { distill: { temperature?: number } };
    const { temperature, ...others } = distill;
    const text = textOf(render({ ...run, experiment: { ...rest, distill: others } }));
    expect(temperature).toBe(2);
    expect(text).toContain('Predictions travelled as float16. ');
    expect(textOf(render(run))).toContain('Predictions travelled as float16, softened with temperature 2.');
  });

  test('loads nothing from anywhere', () => {
    const page = render(exampleRun());
    expect(page).toContain(
      `content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"`,
    );
    expect(page).not.toMatch(/<(link|img|iframe|object|embed)\b|<script[^>]+src|@import|url\(/i);
  });

  test('holds its data so that a browser reads them back', () => {
    const page = render(exampleRun());
    const [, json] = /<script type="application\/json" id="report-data">([\s\S]*?)<\/script>/.exec(page)!;
    const { charts } = JSON.parse(json!);
    expect(charts.map(({ id }: { id: string }) => id)).toEqual(['accuracy', 'nll', 'loss']);
    expect(page.match(/<script/g)).toHaveLength(3);
  });

  test('shows names and reasons as text, whatever is in them', () => {
    const evil = '</script><img src=x onerror=alert(1)>"\u2028';
    const page = render(
      runSummary([peer(evil, evaluation(0.5), { model: evil, device: evil, collapsed: evil })], [], {
        experiment: { name: evil },
        verdict: evil,
      }),
      [{ time: evil, event: evil as EventName, peer: evil, reason: evil }],
    );
    expect(page).not.toContain('<img');
    expect(page.match(/<\/script>/g)).toHaveLength(3);
  });

  test('folds away events beyond fifty and counts them', () => {
    const events = Array.from({ length: 63 }, (_, round) => ({
      ...{ time: '2026-01-01T10:00:00.000Z', event: 'missed' as const },
      round,
    }));
    const text = textOf(render(exampleRun(), events));
    expect(text).toContain('13 more events');
    expect(textOf(render(exampleRun(), events.slice(0, 50)))).not.toContain('more events');
  });

  test('still stands when peers were lost, nothing was measured and the experiment is unknown', () => {
    const run = runSummary([peer('a', null, { outcome: 'lost' })], [], {
      experiment: null,
      interrupted: true,
    });
    const text = textOf(renderReport({ summary: run, metrics: {}, events: [] }));
    expect(text).toContain('Interrupted: dml did not run to its end.');
    expect(text).toContain('a cnn-s dml lost –');
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('chartsOf', () => {
  test('gives a peer one colour under all methods, and each method one dash', () => {
    const run = exampleRun();
    const [accuracy] = chartsOf(run, metricsOf(run));
    expect(accuracy!.lines.map(({ label, color, dash }) => [label, color, dash.length])).toEqual([
      ['peer-1 dml', 0, 0],
      ['peer-2 dml', 1, 0],
      ['peer-1 independent', 0, 2],
      ['peer-2 independent', 1, 2],
    ]);
    expect(accuracy!.description).toContain('At the end: peer-1 dml 77.0 %, peer-2 dml');
  });

  test('leaves gaps where only another peer has a value, and keeps the later of two records of a step', () => {
    const run = runSummary([peer('a', evaluation(0.5)), peer('b', evaluation(0.5))], []);
    const record = (name: string, step: number, accuracy: number): MetricsRecord => ({
      kind: 'evaluation',
      time: '',
      peer: name,
      step,
      ...evaluation(accuracy),
    });
    const metrics = {
      dml: [record('a', 20, 0.3), record('a', 10, 0.1), record('b', 15, 0.2), record('a', 20, 0.4)],
    };
    expect(chartsOf(run, metrics)[0]!.data).toEqual([
      [10, 15, 20],
      [0.1, null, 0.4],
      [null, 0.2, null],
    ]);
  });

  test('averages long curves down to what a screen shows', () => {
    const run = runSummary([peer('a', null)], []);
    const [first] = exampleMetrics(runSummary([peer('a', null)], []));
    const records = Array.from({ length: 1000 }, (_, i) => ({ ...first!, step: i + 1, crossEntropy: i }));
    const [chart] = chartsOf(run, { dml: records as MetricsRecord[] });
    expect(chart!.data[0]).toHaveLength(200);
    expect([chart!.data[0]![0], chart!.data[1]![0]]).toEqual([5, 2]);
    expect(chart!.data[0]!.at(-1)).toBe(1000);
  });
});

describe('html', () => {
  test('escapes values, but not HTML, in lists too', () => {
    const bold = html`<b>${'<&>"\''}</b>`;
    expect(html`${['<', bold]}${1}`.text).toBe('&lt;<b>&lt;&amp;&gt;&quot;&#39;</b>1');
  });

  test('writes JSON for scripts that is the same JSON', () => {
    const value = { text: '</script>\u2028\u2029&amp;' };
    expect(scriptJson(value).text).not.toMatch(/[<\u2028\u2029]/);
    expect(JSON.parse(scriptJson(value).text)).toEqual(value);
  });
});
