import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { experimentFlags } from '../../src/config/flags.ts';
import { loadExperiment } from '../../src/config/load.ts';
import { experimentSettings, keyOf } from '../../src/config/settings.ts';
import { projectRoot } from '../../src/paths.ts';

const folder = join(projectRoot, 'src', 'experiments');

/** The rows of the table of keys that the README has to hold. */
function expectedTable(): string[] {
  const flagOf = new Map(experimentFlags().map(({ setting, flag }) => [keyOf(setting.path), `\`${flag}\``]));
  const rows = experimentSettings().map(({ path, description, expected, default: value }) => {
    const key = keyOf(path);
    const shown =
      value === undefined ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
    return [`\`${key}\``, shown, description, expected, flagOf.get(key) ?? ''];
  });
  const heads = ['key', 'default', 'what it is', 'values', 'flag'];
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

describe('src/experiments', () => {
  it('has a README whose table of keys is what the schema says', async () => {
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    const keys = readme.slice(readme.indexOf('## Keys'));
    const table = keys.split('\n').filter((line) => line.startsWith('|'));
    // The formatter aligns the columns.
    const unaligned = table.map((line) =>
      line
        .replace(/ *\| */g, ' | ')
        .trim()
        .replace(/-{4,}/g, '---'),
    );
    expect(unaligned).toEqual(expectedTable());
  });

  it('has only experiments that load, named after their file and listed in the README', async () => {
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    const names = (await readdir(folder))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.slice(0, -5));
    for (const name of names) {
      expect((await loadExperiment(name)).experiment.name).toBe(name);
      expect(readme).toContain(`[\`${name}\`](${name}.yaml)`);
    }
  });
});
