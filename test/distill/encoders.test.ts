import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { getCodec } from '../../src/codec/index.ts';
import { encode, encoders, encodingShape, getEncoder } from '../../src/distill/encoders/index.ts';
import type { EncoderName } from '../../src/distill/encoders/types.ts';
import { pooled } from '../../src/distill/maps.ts';
import { UsageError } from '../../src/errors.ts';
import { expectSameOnBoth, loadBoth } from '../backend/compare.ts';
import { normals, normOf, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(loadBoth);

const [BATCH, HEIGHT, WIDTH, CHANNELS] = [3, 2, 4, 2];
const mapValues = normals(BATCH * HEIGHT * WIDTH * CHANNELS, 2, 'map');
const nextValues = normals(BATCH * 1 * 2 * 3, 2, 'next');
const vectorValues = normals(BATCH * 5, 2, 'vector');

const features = (): Record<string, tf.Tensor> => ({
  map: tf.tensor4d(mapValues, [BATCH, HEIGHT, WIDTH, CHANNELS]),
  next: tf.tensor4d(nextValues, [BATCH, 1, 2, 3]),
  vector: tf.tensor2d(vectorValues, [BATCH, 5]),
});
const shapes = { map: [HEIGHT, WIDTH, CHANNELS], next: [1, 2, 3], vector: [5] };

/** The layer that each encoder is tried on. */
const layers: Readonly<Record<EncoderName, string>> = {
  'vector@1': 'vector',
  'map@1': 'map',
  'attention@1': 'map',
  'gram@1': 'map',
  'cosine@1': 'vector',
  'signs@1': 'map',
  'factors@1': 'map',
  'flow@1': 'map+next',
};

const names = Object.keys(layers) as EncoderName[];
const needOf = (encoder: EncoderName) => ({ encoder, layer: layers[encoder] });
const trainedOf = (encoder: EncoderName) => getEncoder(encoder).trainable?.modules(shapes.map, 1);

/** The values and the shape of an encoding. */
function encoded(encoder: EncoderName, inputs = features()): { shape: number[]; values: number[] } {
  const trained = trainedOf(encoder);
  return tf.tidy(() => {
    const result = encode(needOf(encoder), inputs, trained);
    return { shape: result.shape, values: [...result.dataSync()] };
  });
}

const at = (b: number, y: number, x: number, c: number) =>
  mapValues[((b * HEIGHT + y) * WIDTH + x) * CHANNELS + c]!;
const rowsOf = (values: readonly number[]) =>
  Array.from({ length: BATCH }, (_, b) =>
    values.slice((b * values.length) / BATCH, ((b + 1) * values.length) / BATCH),
  );
const dot = (a: readonly number[], b: readonly number[]) => sumOf(a.map((value, i) => value * b[i]!));
const normalised = (values: readonly number[]) => values.map((value) => value / normOf(values));

describe('the encoders', () => {
  it('are registered under their own names', () => {
    expect(Object.keys(encoders).sort()).toEqual([...names].sort());
    for (const [key, { name }] of Object.entries(encoders)) expect(name).toBe(key);
    expect(() => getEncoder('gramm@1')).toThrow('Unknown encoder "gramm@1"; did you mean "gram@1"?');
  });

  it('send the layer itself in one case only, and bits in one', () => {
    const all = Object.values(encoders);
    expect(all.filter(({ raw }) => raw).map(({ name }) => name)).toEqual(['map@1']);
    expect(all.filter(({ payload }) => payload === 'bits').map(({ name }) => name)).toEqual(['signs@1']);
  });

  it.each(names)('%s says beforehand what shape it gives', (name) => {
    expect(encodingShape(needOf(name), shapes, BATCH)).toEqual(encoded(name).shape);
  });

  it.each(names)('%s gives a new tensor and leaves none behind', async (name) => {
    const trained = trainedOf(name);
    const inputs = features();
    await expectNoLeak(() => {
      tf.tidy(() => encode(needOf(name), inputs, trained)).dispose();
    });
    for (const input of Object.values(inputs)) expect(input.isDisposed).toBe(false);
    tf.dispose(inputs);
  });

  it.each(names)('%s gives the same on wasm as on cpu', async (name) => {
    await expectSameOnBoth(() => {
      const trained = trainedOf(name);
      const result = encode(needOf(name), features(), trained);
      for (const variable of trained?.parameters.values() ?? []) variable.dispose();
      return [result];
    });
  });

  it.each(names)('%s is finite, with finite gradients, where a layer is zero', (name) => {
    const zeros = Object.fromEntries(Object.entries(features()).map(([key, x]) => [key, tf.zerosLike(x)]));
    expect(encoded(name, zeros).values.every(Number.isFinite)).toBe(true);
    if (name === 'signs@1') return;
    const trained = trainedOf(name);
    const [first] = layers[name].split('+');
    const gradient = tf.tidy(() => {
      const of = (x: tf.Tensor) => encode(needOf(name), { ...zeros, [first!]: x }, trained);
      return [
        ...tf
          .grad((x) => tf.sum(tf.square(tf.sub(of(x), 1))))(zeros[first!]!)
          .dataSync(),
      ];
    });
    expect(gradient.every((value) => Math.abs(value) < 1e6)).toBe(true);
  });

  it.each([
    ['vector@1', 'map'],
    ['cosine@1', 'map'],
    ['map@1', 'vector'],
    ['attention@1', 'vector'],
    ['signs@1', 'vector'],
    ['factors@1', 'vector'],
    ['flow@1', 'map+vector'],
  ] as const)('%s refuses the other kind of layer, before and when it encodes', (encoder, layer) => {
    const need = { encoder, layer };
    expect(() => encodingShape(need, shapes, BATCH)).toThrow(UsageError);
    if (encoder !== 'factors@1') expect(() => encode(need, features())).toThrow(/takes a (map|vector)/);
  });
});

describe('what they keep', () => {
  it('vector@1 and map@1: everything', () => {
    expect(encoded('vector@1').values).toEqual(vectorValues);
    expect(encoded('map@1').values).toEqual(mapValues);
  });

  it('attention@1: the mean of the squares over the channels, of length 1', () => {
    const expected = Array.from({ length: BATCH }, (_, b) => {
      const squares = Array.from({ length: HEIGHT * WIDTH }, (_, i) => {
        const [y, x] = [Math.floor(i / WIDTH), i % WIDTH];
        return sumOf(Array.from({ length: CHANNELS }, (_, c) => at(b, y, x, c) ** 2)) / CHANNELS;
      });
      return normalised(squares);
    });
    expectClose(encoded('attention@1').values, expected.flat(), 1e-6);
  });

  it('gram@1: inner products, each row of length 1', () => {
    const rows = rowsOf(mapValues);
    const expected = rows.map((row) => normalised(rows.map((other) => dot(row, other))));
    expectClose(encoded('gram@1').values, expected.flat(), 1e-6);
  });

  it('cosine@1: cosines', () => {
    const rows = rowsOf(vectorValues).map(normalised);
    const expected = rows.map((row) => rows.map((other) => dot(row, other)));
    expectClose(encoded('cosine@1').values, expected.flat(), 1e-6);
  });

  it('signs@1: what is above 0, and its codec keeps it', () => {
    const { values } = encoded('signs@1');
    expect(values).toEqual(mapValues.map((value) => (value > 0 ? 1 : 0)));
    const bits = getCodec('bits');
    const bytes = bits.encode(Float32Array.from(values), 1, values.length);
    expect(bytes.byteLength).toBe(values.length / 8);
    expect([...bits.decode(bytes, 1, values.length)]).toEqual(values);
  });

  it('signs@1: the same before and after a rectifier, and 0 for 0', () => {
    const inputs = features();
    const rectified = encoded('signs@1', { map: tf.relu(inputs.map!) }).values;
    expect(rectified).toEqual(encoded('signs@1', inputs).values);
    expect(encoded('signs@1', { map: tf.zeros([1, 1, 1, 2]) }).values).toEqual([0, 0]);
  });

  it('flow@1: the later channels by the first, mean over the positions, the larger map averaged down', () => {
    // The map of 2 x 4 is averaged down to 1 x 2: over both rows and two columns each.
    const small = (b: number, x: number, c: number) =>
      sumOf([0, 1].flatMap((y) => [0, 1].map((dx) => at(b, y, 2 * x + dx, c)))) / 4;
    const expected = Array.from({ length: BATCH }, (_, b) =>
      Array.from({ length: 3 }, (_, c2) =>
        Array.from({ length: CHANNELS }, (_, c1) =>
          sumOf([0, 1].map((x) => nextValues[(b * 2 + x) * 3 + c2]! * small(b, x, c1) * 0.5)),
        ),
      ),
    );
    expectClose(encoded('flow@1').values, expected.flat(2), 1e-6);
  });

  it.each([
    ['attention@1', 'map'],
    ['cosine@1', 'vector'],
  ] as const)('%s: nothing of the scale of each sample', (encoder, layer) => {
    const inputs = features();
    const scales = tf.tensor([1, 10, 0.1], [BATCH, ...inputs[layer]!.shape.slice(1).map(() => 1)]);
    const scaled = encoded(encoder, { [layer]: tf.mul(inputs[layer]!, scales) }).values;
    expectClose(scaled, encoded(encoder).values, 1e-5);
  });
});

describe('factors@1', () => {
  const { trainable } = encoders['factors@1'];

  it('cannot encode before it is trained', () => {
    expect(() => encoders['factors@1'].encode(features().map!)).toThrow('trained modules');
  });

  it('is half as many channels, and the same for the same seed', () => {
    const [one, same, other] = [1, 1, 2].map((seed) => trainable!.modules([4, 4, 6], seed));
    expect(one!.parameters.get('encoder.2.weight')!.shape).toEqual([3, 3, 3, 3]);
    expect(one!.parameters.get('decoder.1.weight')!.shape).toEqual([3, 3, 3, 6]);
    const read = (modules: typeof one) =>
      [...modules!.parameters.values()].flatMap((each) => [...each.dataSync()]);
    expect(read(one)).toEqual(read(same));
    expect(read(one)).not.toEqual(read(other));
  });

  it('learns to reproduce the map: one value per sample, which falls', () => {
    const map = tf.relu(tf.tensor4d(normals(BATCH * 3 * 3 * 4, 2, 'rebuilt'), [BATCH, 3, 3, 4]));
    const modules = trainable!.modules([3, 3, 4], 3);
    const parameters = [...modules.parameters.values()];
    const before = tf.tidy(() => modules.loss(map).dataSync());
    expect(before.length).toBe(BATCH);
    for (let step = 0; step < 150; step++) {
      tf.tidy(() => {
        const { grads } = tf.variableGrads(() => tf.mean(modules.loss(map)) as tf.Scalar, parameters);
        for (const each of parameters) each.assign(tf.sub(each, tf.mul(grads[each.name]!, 0.05)));
      });
    }
    const after = tf.tidy(() => modules.loss(map).dataSync());
    expect(sumOf([...after])).toBeLessThan(0.7 * sumOf([...before]));
  });

  it('sends maps of length 1', () => {
    for (const row of rowsOf(encoded('factors@1').values)) expect(normOf(row)).toBeCloseTo(1, 5);
  });
});

describe('averaging down', () => {
  it.each([
    [4, 2],
    [5, 2],
    [7, 3],
    [3, 3],
    [6, 1],
  ])('%i rows to %i: the mean over windows that cover all', (from, to) => {
    const values = normals(from * from, 1, 'pool');
    const actual = tf.tidy(() => [...pooled(tf.tensor4d(values, [1, from, from, 1]), [to, to]).dataSync()]);
    const window = (i: number) => {
      const [start, end] = [Math.floor((i * from) / to), Math.ceil(((i + 1) * from) / to)];
      return Array.from({ length: end - start }, (_, k) => start + k);
    };
    const expected = Array.from({ length: to * to }, (_, at) => {
      const [rows, columns] = [window(Math.floor(at / to)), window(at % to)];
      const inside = rows.flatMap((y) => columns.map((x) => values[y * from + x]!));
      return sumOf(inside) / inside.length;
    });
    expectClose(actual, expected, 1e-6);
  });

  it('keeps rows, columns and channels apart', () => {
    const values = normals(2 * 4 * 2 * 3, 1, 'apart');
    const x = tf.tensor4d(values, [2, 4, 2, 3]);
    const stock = tf.avgPool(x, [2, 1], [2, 1], 'valid');
    expectClose(pooled(x, [2, 2]).dataSync(), stock.dataSync(), 1e-6);
  });
});
