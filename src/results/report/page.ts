import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { projectRoot } from '../../paths.ts';
import { Html, html, scriptJson } from './html.ts';

const require = createRequire(import.meta.url);

/** A file that is put into the page as it is. Those of codistill are not compiled, so they are read from the sources. */
function own(name: string): Html {
  return new Html(readFileSync(join(projectRoot, 'src', 'results', 'report', name), 'utf8'));
}

function ofUplot(name: string): Html {
  return new Html(readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8'));
}

/**
 * A page that holds all that it needs, and is forbidden to fetch anything.
 *
 * @param data what the charts are drawn from, see `client.js`
 */
export function page(title: string, body: Html, data: unknown): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${ofUplot('uPlot.min.css')}
${own('style.css')}</style>
</head>
<body>
${body}
<script type="application/json" id="report-data">${scriptJson(data)}</script>
<script>${ofUplot('uPlot.iife.min.js')}</script>
<script>${own('client.js')}</script>
</body>
</html>
`.text;
}
