/**
 * What a peer that lies does to the others: trains three students with a fourth that lies, with the quarantine and
 * without it, and the three by themselves, in this process.
 *
 *     node dist/test/experiments/liars.js <seeds> [<lie>,...] [ensemble]
 *
 * Writes a table: accuracy and NLL of the three honest students on the test set, mean ± standard deviation over seeds.
 */
import { loadBackend } from '../../src/backend/select.ts';
import { LIES, type LieName } from '../coordinator/lies.ts';
import {
  type LocalPeer,
  type LocalResult,
  trainingSettings,
  trainTogether,
} from '../coordinator/localRun.ts';

const HONEST: readonly LocalPeer[] = ['a', 'b', 'c'].map((name) => ({ name, model: 'mlp' }));
const LIAR: LocalPeer = { name: 'x', model: 'mlp' };

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(
    mean(values.map((value) => (value - center) ** 2)) * (values.length / Math.max(1, values.length - 1)),
  );
}

async function measure(
  seeds: number,
  ensemble: string | undefined,
  peers: () => readonly LocalPeer[],
  defended: boolean,
): Promise<string> {
  const results: LocalResult[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const settings = trainingSettings({
      ...{ seed, data: { trainSize: 1000, testSize: 2000 }, training: { epochs: 10 } },
      exchange: { ...(ensemble && { ensemble }) },
    });
    // Without its memory, the coordinator never finds anybody out.
    results.push(await trainTogether(peers(), settings, (run) => !defended && run.suspects.clear()));
  }
  const of = (measured: 'accuracy' | 'nll'): number[] =>
    results.map(({ evaluations }) => mean(HONEST.map(({ name }) => evaluations.get(name)![measured])));
  const [accuracies, nlls] = [of('accuracy').map((each) => each * 100), of('nll')];
  const found = results.map(({ events }) => events[0]?.split(' ')[2] ?? '–').join(', ');
  return [
    `${mean(accuracies).toFixed(1)} ± ${deviation(accuracies).toFixed(1)}`,
    `${mean(nlls).toFixed(3)} ± ${deviation(nlls).toFixed(3)}`,
    found,
  ].join(' | ');
}

const [seeds = '3', lies = Object.keys(LIES).join(), ensemble] = process.argv.slice(2);
await loadBackend('wasm');
const tell = (row: string): void => void process.stdout.write(`| ${row} |\n`);
tell('fourth peer | quarantine | accuracy % | NLL | found in round');
tell('---|---|---|---|---');
const run = (peers: () => readonly LocalPeer[], defended: boolean): Promise<string> =>
  measure(Number(seeds), ensemble, peers, defended);
tell(`none | yes | ${await run(() => HONEST, true)}`);
tell(`honest | yes | ${await run(() => [...HONEST, LIAR], true)}`);
for (const name of lies.split(',') as LieName[]) {
  for (const defended of [true, false]) {
    const peers = (): LocalPeer[] => [...HONEST, { ...LIAR, lie: LIES[name]() }];
    tell(`${name} | ${defended ? 'yes' : 'no'} | ${await run(peers, defended)}`);
  }
}
