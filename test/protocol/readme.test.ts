import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { codecs } from '../../src/codec/index.ts';
import { encoders } from '../../src/distill/encoders/index.ts';
import { wantsLabels } from '../../src/ensemble/wantsLabels.ts';
import { CloseCode, closeCodeInfo } from '../../src/protocol/closeCodes.ts';
import { CoordinatorMessage, ENSEMBLES, PeerMessage } from '../../src/protocol/messages.ts';

const specification = readFileSync(new URL('../../src/protocol/README.md', import.meta.url), 'utf8');
const wants = PeerMessage.options.find(({ shape }) => shape.type.value === 'ready')!.shape as unknown as {
  wants: { unwrap(): { shape: object } };
};
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
      const bytes = codec.bytes(1, 8) / 8;
      const size = bytes < 1 ? `1/${1 / bytes}` : bytes;
      expect(
        rows.some((row) => row.startsWith(`| \`${codec.name}\` | ${size} |`)),
        codec.name,
      ).toBe(true);
    }
  });

  it.each([...Object.keys(encoders), ...ENSEMBLES])('has %s', (name) => {
    expect(rows.some((row) => row.startsWith(`| \`${name}\` |`))).toBe(true);
  });

  it('says of each ensemble whether it needs the labels', () => {
    for (const ensemble of ENSEMBLES) {
      const row = rows.find((each) => each.startsWith(`| \`${ensemble}\` |`));
      expect(row, ensemble).toMatch(wantsLabels(ensemble) ? /\| yes \|$/ : /\| no \|$/);
    }
  });

  it('has every field of what students need', () => {
    const section = specification.slice(specification.indexOf('## What students need'));
    for (const field of Object.keys(wants.wants.unwrap().shape))
      expect(section).toMatch(new RegExp(`^\\| ${field} +\\|`, 'm'));
  });

  it('shows the bits of its golden frame', () => {
    const values = [1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1];
    expect(specification.replaceAll('\n', ' ')).toContain(`\`${values.join(' ')}\` are \`99 0c\``);
    expect(codecs.bits!.encode(Float32Array.from(values), 1, 12)).toEqual(Uint8Array.of(0x99, 0x0c));
  });
});
