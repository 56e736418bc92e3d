import { afterEach, describe, expect, it, vi } from 'vitest';
import { METHODS } from '../../src/config/methods.ts';
import { describeMethod, REFERENCE } from '../../src/distill/describe.ts';
import { methods } from '../../src/distill/index.ts';
import { ExitCode, UsageError } from '../../src/errors.ts';
import { methodsCommand } from '../../src/launch/methods.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** What `codistill methods` with these arguments prints. */
async function printed(...args: string[]): Promise<string> {
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((part) => {
    text += part;
    return true;
  });
  const { command, work } = methodsCommand();
  command.parse(args, { from: 'user' });
  expect(await work(command)).toBe(ExitCode.ok);
  return text;
}

describe('codistill methods', () => {
  it('lists every method with its schema and what its teacher sends', async () => {
    const text = await printed();
    const names = text.split('\n').flatMap((line) => /^│ ([a-z][a-z-]*) +│/.exec(line)?.[1] ?? []);
    expect(names.toSorted()).toEqual(['method', ...METHODS].toSorted());
    expect(text).toMatch(/│ kd +│ online, offline │ logits: 25\.6 kB/);
    expect(text).toMatch(/│ self-ema +│ self +│ – /);
    expect(text).toContain(`A teacher sends, for one batch: ${REFERENCE.description}.`);
  });

  it('tells all about one of them', async () => {
    expect((await printed('kdcl')).split('\n')).toEqual([
      'kdcl: collaborative learning: one target for all, made of all predictions and the labels',
      '',
      'source    Guo et al. 2020, "Online Knowledge Distillation via Collaborative Learning", CVPR, section 3',
      'schema    online, offline',
      'sends     logits, 25.6 kB a batch',
      'weights   ceWeight 1, kdWeight 1',
      'options   (in a file under distill.options, or --options name=value)',
      '  temperature  divides the logits of student and teacher before the softmax (default 2)',
      expect.stringMatching(/^ {2}target {7}the target that all share: .* \(default "minlogit"\)$/),
      '',
    ]);
    expect(await printed('independent')).toMatch(/sends {5}nothing\n.*\noptions {3}none\n$/);
  });

  it('prints the same for programs', async () => {
    expect(JSON.parse(await printed('--json'))).toEqual(Object.values(methods).map(describeMethod));
    expect(JSON.parse(await printed('crd', '--json'))).toEqual(describeMethod(methods.crd!));
  });

  it("tells about a user's own, by its path", async () => {
    const path = new URL('../fixtures/methods/nearness.js', import.meta.url).pathname;
    const text = await printed(path);
    expect(text).toContain(`nearness: the method of ${path}\n`);
    expect(text).toContain('sends     logits, 25.6 kB a batch\n');
  });

  it('names those that there are when there is none of that name', async () => {
    await expect(printed('dmll')).rejects.toThrow(UsageError);
    await expect(printed('dmll')).rejects.toThrow(
      'Unknown method "dmll"; did you mean "dml"? Known: independent,',
    );
  });
});
