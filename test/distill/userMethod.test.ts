import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { methodFromModule } from '../../src/distill/userMethod.ts';
import { UsageError } from '../../src/errors.ts';

const loss = () => {};
const least = { name: 'mine', teachers: 'peers', loss };

describe("the method of a user's module", () => {
  it('is its default export, with what it may leave out', () => {
    const method = methodFromModule({ default: least }, './mine.js');
    expect(method).toMatchObject({
      ...least,
      ...{ summary: 'the method of ./mine.js', source: './mine.js', weights: { ce: 1, kd: 1 } },
    });
    expect(method.options.parse({})).toEqual({});
    expect(method.options.safeParse({ nonsense: 1 }).success).toBe(false);
  });

  it('has what it says itself, whatever that is', () => {
    const own = {
      ...{ name: 'mine', teachers: 'none', supervised: loss, batch: 'two-views', needs: loss },
      ...{ summary: 'words', source: 'a paper', weights: { ce: 0, kd: 3 } },
      options: z.strictObject({ beta: z.number().default(8) }),
    };
    expect(methodFromModule({ default: own }, './mine.js')).toEqual(own);
  });

  it.each<[unknown, string]>([
    [undefined, 'expected "export default" of a method; default: expected'],
    [{}, 'expected "export default" of a method; default: expected'],
    [{ default: () => least }, 'expected "export default" of a method; default: expected'],
    [{ default: { ...least, name: undefined } }, 'default.name: expected a string.'],
    [
      { default: { ...least, name: 'My Method' } },
      'default.name: expected lower-case letters, digits and dashes.',
    ],
    [
      { default: { ...least, teachers: 'others' } },
      'default.teachers: expected one of none, peers, ema, generation,',
    ],
    [{ default: { ...least, loss: 3 } }, 'default.loss: expected a function.'],
    [{ default: { ...least, options: { beta: 8 } } }, 'default.options: expected a schema of zod, such as'],
    [{ default: { ...least, options: null } }, 'default.options: expected a schema of zod, such as'],
    [{ default: { ...least, weights: 1 } }, 'default.weights: expected numbers ce and kd.'],
    [
      { default: { name: 'mine', teachers: 'peers' } },
      'expected a method with a function "loss", or "supervised".',
    ],
  ])('is refused with the file and what is wrong: %o', (module, message) => {
    const make = () => methodFromModule(module, './mine.js');
    expect(make).toThrow(UsageError);
    expect(make).toThrow(`./mine.js: `);
    expect(make).toThrow(message);
  });
});
