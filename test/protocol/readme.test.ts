import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { codecs } from '../../src/codec/index.ts';
import { CloseCode, closeCodeInfo } from '../../src/protocol/closeCodes.ts';
import { CoordinatorMessage, PeerMessage } from '../../src/protocol/messages.ts';

const specification = readFileSync(new URL('../../src/protocol/README.md', import.meta.url), 'utf8');
/** The rows of its tables, without the padding of their cells. */
const rows = specification
  .split('\n')
  .flatMap((line) => (line.startsWith('| ') ? [line.replace(/ +/g, ' ')] : []));

/** The text about one message: from its name at the start of a line to the next message or section. */
function sectionOf(type: string): string {
  return new RegExp(`^\`${type}\`.*?(?=^\`|^#)`, 'ms').exec(specification)?.[0] ?? '';
}

describe('the wire specification', () => {
  it.each([...PeerMessage.options, ...CoordinatorMessage.options])(
    'describes every field of $shape.type.value',
    (schema) => {
      const { type, ...fields } = schema.shape;
      const section = sectionOf(type.value);
      for (const field of Object.keys(fields))
        expect(section).toMatch(new RegExp(`^\\|[^|]*\\b${field}\\b`, 'm'));
      expect(section).not.toBe('');
    },
  );

  it('has the close codes as they are', () => {
    for (const code of Object.values(CloseCode)) {
      const { meaning, reconnect } = closeCodeInfo(code)!;
      expect(rows).toContain(`| ${code} | ${meaning} | ${reconnect ? 'yes' : 'no'} |`);
    }
  });

  it('has every codec with its size', () => {
    for (const codec of Object.values(codecs)) {
      expect(rows.some((row) => row.startsWith(`| \`${codec.name}\` | ${codec.bytes(1, 1)} |`))).toBe(true);
    }
  });
});
