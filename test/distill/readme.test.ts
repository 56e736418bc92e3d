import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeMethod, REFERENCE } from '../../src/distill/describe.ts';
import { methods } from '../../src/distill/index.ts';
import { projectRoot } from '../../src/paths.ts';
import { byteSize } from '../../src/results/format.ts';

/** The rows of the README's table of methods. */
const rows = Object.values(methods)
  .map(describeMethod)
  .map(({ name, schema, sends, bytes, summary, source }) => {
    const payload = bytes === 0 ? '–' : `${sends}: ${byteSize(bytes)}`;
    return `| \`${name}\` | ${schema} | ${payload} | ${summary} | ${source} |`;
  });

describe('the README', () => {
  const text = readFileSync(join(projectRoot, 'README.md'), 'utf8');

  it('has a table of methods whose rows are what the registry says, in its order', () => {
    const found = text
      .split('\n')
      .filter((line) => /^\| `[a-z0-9-]+` \| (alone|self|online|offline)/.test(line));
    expect(found.length).toBeGreaterThan(30);
    expect(found, `expected, of these:\n${rows.join('\n')}`).toEqual(
      rows.filter((row) => found.includes(row)),
    );
  });

  it('says for what setting its bytes are', () => {
    expect(text).toContain(REFERENCE.description);
  });
});
