import { pathToFileURL } from 'node:url';
import { askChild } from '../childProbe.ts';
import type { Refused } from '../types.ts';
import { type Adapter, chooseAdapter } from './chooseAdapter.ts';
import { installCommand, PACKAGE, packagePath } from './dawn.ts';

/** Far longer than drivers take to start; a hung one takes for ever. */
const PROBE_LIMIT_MS = 30_000;

/** Dawn lists the adapters only in its answer to somebody who asks for one that there is not. */
const PROGRAM = `
  const [, url] = process.argv;
  const info = (name, adapter) => adapter && {
    ...{ name, device: adapter.info.device, driver: adapter.info.description },
    software: adapter.info.isFallbackAdapter === true,
  };
  const answer = (found) => {
    require('node:fs').writeSync(1, '\\n' + JSON.stringify(found));
    process.exit();
  };
  import(url).then(async ({ create }) => {
    const request = (options) => create(options).requestAdapter({ powerPreference: 'high-performance' });
    const list = await request(['adapter=\\0']).then(() => '', (error) => error.message);
    const names = [...list.matchAll(/name: '(.*)'$/gm)].map(([, name]) => name);
    const adapters = [];
    for (const name of names) adapters.push(info(name, await request(['adapter=' + name])));
    answer({ adapters, preferred: names.length === 0 ? null : info('', await request([])) });
  }).catch((error) => answer({ error: String(error?.message ?? error) }));
`;

/**
 * The adapter to compute on.
 *
 * @param gpu its number, or part of its name; a software adapter is only found by its name
 */
export async function findAdapter(gpu?: string): Promise<Adapter | Refused> {
  const path = packagePath();
  if (path === null) {
    return { usable: false, reason: `npm's package ${PACKAGE} is not installed`, remedy: installCommand() };
  }
  const found = await askChild({
    name: `npm's package ${PACKAGE}`,
    program: PROGRAM,
    args: [pathToFileURL(path).href],
    env: {},
    limitMs: PROBE_LIMIT_MS,
  });
  if ('usable' in found) return found;
  const { adapters, preferred } = found.answer as { adapters: Adapter[]; preferred: Adapter | null };
  return chooseAdapter({ adapters, preferred, stderr: found.stderr, gpu });
}
