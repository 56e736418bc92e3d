import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { saveWeights } from '../../peer/weightFiles.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { experimentSchema } from '../../src/config/schema.ts';
import { evaluateRun } from '../../src/launch/evaluateRun.ts';
import { churn, evaluateLogits } from '../../src/training/metrics.ts';
import { createTinyStudent, EMBEDDED, settingsWith } from '../peer/support.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

/** A run folder with the initial weights of an mlp for each seed, and what these predict of the test set. */
async function runFolder(peers: Readonly<Record<string, number>>) {
  await loadBackend('wasm');
  const folder = await temporaryFolder();
  const experiment = experimentSchema.parse({
    data: { trainSize: 40, testSize: 20, batchSize: 8 },
    distill: { burnInSteps: 0 },
  });
  await writeFile(join(folder, 'experiment.json'), JSON.stringify(experiment));
  const logits: Record<string, Float32Array> = {};
  let labels = new Uint16Array();
  for (const [name, seed] of Object.entries(peers)) {
    const student = await createTinyStudent({ ...settingsWith(), seed });
    await saveWeights(join(folder, 'peers', name), student, 'mlp');
    logits[name] = (await student.predictTestSet(new AbortController().signal, () => {}))!;
    labels = student.dataset.test.labels.slice();
    student.dispose();
  }
  return { folder, logits, labels };
}

const OPTIONS = { backend: 'wasm', dataDir: EMBEDDED, download: false };

describe('a run that is evaluated again', () => {
  it('has the quality of its weights', async () => {
    const { folder, logits, labels } = await runFolder({ a: 1, b: 2 });
    const { peers, ensemble } = await evaluateRun(folder, OPTIONS);
    expect(peers).toEqual(
      ['a', 'b'].map((name) => ({ name, model: 'mlp', test: evaluateLogits(logits[name]!, labels, 10) })),
    );
    expect(peers[0]!.test).toMatchObject({ brier: expect.any(Number), top5: expect.any(Number) });
    expect(ensemble).not.toBeNull();
  });

  it('tells the churn of each peer that another run has, too', async () => {
    const [one, other] = [await runFolder({ a: 1, b: 2 }), await runFolder({ a: 3, c: 2 })];
    const { peers } = await evaluateRun(one.folder, OPTIONS, other.folder);
    const expected = churn(one.logits.a!, other.logits.a!, 10);
    expect(expected).toBeGreaterThan(0);
    expect(peers.map(({ churn: its }) => its)).toEqual([expected, undefined]);
    const itself = await evaluateRun(one.folder, OPTIONS, one.folder);
    expect(itself.peers.map(({ churn: its }) => its)).toEqual([0, 0]);
  });
});
