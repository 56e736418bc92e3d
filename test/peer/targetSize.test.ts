import { describe, expect, it } from 'vitest';
import { expectTargetFits } from '../../peer/targetSize.ts';
import { UsageError } from '../../src/errors.ts';
import type { Wants } from '../../src/protocol/messages.ts';
import { settingsWith } from './support.ts';

const WANTS: Wants = {
  ...{ logits: true, ensemble: 'apart', includesSelf: false, temperature: 3 },
  encodings: [{ layer: 'embedding', encoder: 'vector@1' }],
};
const teachersOf = (count: number, width: number) =>
  Array.from({ length: count }, () => ({ layers: { embedding: [width] } }));
const settings = settingsWith({ data: { batchSize: 64 } });

describe('a target of what several teachers say', () => {
  // 64 x (100 + 256) values of two bytes are 45,568 a teacher, and its part of the frame is 101 bytes more.
  it('is refused at the start when no message could hold it, and not with one teacher less', () => {
    expect(() => expectTargetFits(WANTS, teachersOf(367, 256), 100, settings)).not.toThrow();
    const fit = () => expectTargetFits(WANTS, teachersOf(368, 256), 100, settings);
    expect(fit).toThrow(UsageError);
    expect(fit).toThrow(
      'What 368 teachers say about a batch takes 16.8 MB, and a message holds 16.8 MB: give the run fewer teachers, a smaller data.batchSize or a method that needs less.',
    );
  });

  it('counts all of them only where it holds each by itself', () => {
    const mean = { ...WANTS, ensemble: 'mean-probabilities' } as const;
    expect(() => expectTargetFits(mean, teachersOf(1023, 256), 100, settings)).not.toThrow();
  });

  it('is refused, too, when a receiver would refuse it for the number of its parts', () => {
    const fit = (count: number) => () => expectTargetFits(WANTS, teachersOf(count, 8), 10, settings);
    expect(fit(600)).not.toThrow();
    expect(fit(700)).toThrow(/^What 700 teachers say .*frame: expected at most 16384 values/);
  });
});

describe('a target of what one teacher says', () => {
  it('is refused when no message could hold it, signs counting a bit', () => {
    const fit = (encoder: string, channels: number) => () =>
      expectTargetFits(
        {
          ...WANTS,
          logits: false,
          ensemble: 'mean-probabilities',
          encodings: [{ layer: 'stage1', encoder }],
        },
        [{ layers: { stage1: [64, 64, channels] } }],
        10,
        settings,
      );
    expect(fit('map@1', 31)).not.toThrow();
    expect(fit('map@1', 32)).toThrow(
      'What a teacher says about a batch takes 16.8 MB, and a message holds 16.8 MB: give the run a smaller data.batchSize or a method that needs less.',
    );
    expect(fit('signs@1', 256)).not.toThrow();
  });
});
