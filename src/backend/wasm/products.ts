import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  advance,
  type Code,
  code,
  get,
  integer,
  repeat,
  select,
  set,
  simd,
  type WasmFunction,
} from './assembler.ts';
import { compiled } from './compiled.ts';

/** Rows, and vectors of four columns, of the sum that is kept in registers: 8 vectors, half of what there are. */
const TILE_ROWS = 4;
const TILE_VECTORS = 2;

/**
 * Parameters of a generated function, in this order: addresses, numbers of repetitions, distances in bytes, and whether
 * what `sum` holds is overwritten.
 */
const PARAMETERS = [
  ...['a', 'b', 'sum', 'positions', 'lines', 'rowTiles', 'columnTiles'],
  ...['aRow', 'aPosition', 'bPosition', 'aLine', 'bLine', 'sumRow', 'overwrite'],
];
const INTEGERS = [
  'aTile',
  'bAt',
  'sumAt',
  'positionsLeft',
  'linesLeft',
  'rowTilesLeft',
  'a0',
  'a1',
  'a2',
  'a3',
];
const NAMES = [...PARAMETERS, ...INTEGERS];

const each = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
const local = (name: string): number => NAMES.indexOf(name);
const copy = (to: string, from: string): Code => code(get(local(from)), set(local(to)));
const move = (name: string, by: string | number): Code =>
  advance(local(name), typeof by === 'number' ? integer(by) : get(local(by)));

/**
 * For all tiles of `rows` x `4 * vectors` elements: `sum += transpose(a) · b`, over all positions of all lines. Each tile
 * is summed in registers, from 0.
 */
function tileFunction(rows: number, vectors: number): WasmFunction {
  const total = (row: number, v: number): number => NAMES.length + row * vectors + v;
  const b = NAMES.length + rows * vectors;
  const value = b + vectors;
  const allRows = (make: (row: number) => Code): Code => code(...each(rows, make));
  const allVectors = (make: (v: number) => Code): Code => code(...each(vectors, make));

  const position = code(
    allVectors((v) => code(simd.load(local('bAt'), 16 * v), set(b + v))),
    allRows((row) =>
      code(
        simd.splat(local(`a${row}`)),
        set(value),
        allVectors((v) =>
          code(simd.add(get(total(row, v)), simd.multiply(get(value), get(b + v))), set(total(row, v))),
        ),
        move(`a${row}`, 'aPosition'),
      ),
    ),
    move('bAt', 'bPosition'),
  );
  const line = code(
    copy('positionsLeft', 'positions'),
    repeat(local('positionsLeft'), position),
    allRows((row) => move(`a${row}`, 'aLine')),
    move('bAt', 'bLine'),
  );
  const storeTotal = (row: number, v: number): Code => {
    const sum = simd.add(simd.load(local('sumAt'), 16 * v), get(total(row, v)));
    return simd.store(local('sumAt'), select(get(total(row, v)), sum, get(local('overwrite'))), 16 * v);
  };
  const tile = code(
    allRows((row) =>
      code(
        copy(`a${row}`, 'aTile'),
        move('aTile', 'aRow'),
        allVectors((v) => code(simd.zero, set(total(row, v)))),
      ),
    ),
    copy('bAt', 'b'),
    copy('linesLeft', 'lines'),
    repeat(local('linesLeft'), line),
    allRows((row) =>
      code(
        allVectors((v) => storeTotal(row, v)),
        move('sumAt', 'sumRow'),
      ),
    ),
  );
  const columns = code(
    copy('aTile', 'a'),
    copy('sumAt', 'sum'),
    copy('rowTilesLeft', 'rowTiles'),
    repeat(local('rowTilesLeft'), tile),
    move('b', 16 * vectors),
    move('sum', 16 * vectors),
  );
  return {
    parameters: PARAMETERS.length,
    integers: INTEGERS.length,
    vectors: rows * vectors + vectors + 1,
    body: repeat(local('columnTiles'), columns),
  };
}

/** The functions for 1 to all rows of 1 vector, then of 2. */
const tileFunctions = (): WasmFunction[] =>
  each(TILE_ROWS * TILE_VECTORS, (i) => tileFunction((i % TILE_ROWS) + 1, Math.floor(i / TILE_ROWS) + 1));

/** A matrix that lies in the heap as lines of positions at constant distances; all distances are in elements. */
export interface Lines {
  /** In bytes. */
  readonly address: number;
  /** Number of rows of `a`, or of columns of `b`. */
  readonly length: number;
  readonly position: number;
  readonly line: number;
}

/**
 * `transpose(a) · b`: for each position of each line, the product of all rows of `a` with all columns of `b`. A matrix
 * product of what lies scattered in the heap, so that nothing need be copied, transposed or packed.
 *
 * @param a its rows are `row` elements apart
 * @param b its columns are neighbours, their number a multiple of 4
 * @param sum where the product is added, or put: `[a.length, b.length]`, its rows `b.length` elements apart
 */
export function multiplyLines(
  backend: BackendWasm,
  a: Lines & { readonly row: number },
  b: Lines,
  sum: { readonly address: number; readonly overwrite: boolean },
  { positions, lines }: { readonly positions: number; readonly lines: number },
): void {
  if (positions <= 0 || lines <= 0) return;
  const tiles = compiled(backend, 'products', tileFunctions);
  const sumRow = 4 * b.length;
  const run = (
    row: number,
    rows: number,
    rowTiles: number,
    column: number,
    vectors: number,
    columnTiles: number,
  ) => {
    if (rows * rowTiles * vectors * columnTiles === 0) return;
    tiles[(vectors - 1) * TILE_ROWS + rows - 1]!(
      a.address + 4 * row * a.row,
      b.address + 4 * column,
      sum.address + row * sumRow + 4 * column,
      positions,
      lines,
      rowTiles,
      columnTiles,
      4 * a.row,
      4 * a.position,
      4 * b.position,
      4 * (a.line - positions * a.position),
      4 * (b.line - positions * b.position),
      sumRow,
      Number(sum.overwrite),
    );
  };
  // Whole tiles, and what is left of rows and columns.
  const width = 4 * TILE_VECTORS;
  const [rowTiles, columnTiles] = [Math.floor(a.length / TILE_ROWS), Math.floor(b.length / width)];
  const [lastRow, lastColumn] = [rowTiles * TILE_ROWS, columnTiles * width];
  const [rowsLeft, vectorsLeft] = [a.length - lastRow, (b.length - lastColumn) / 4];
  run(0, TILE_ROWS, rowTiles, 0, TILE_VECTORS, columnTiles);
  run(0, TILE_ROWS, rowTiles, lastColumn, vectorsLeft, 1);
  run(lastRow, rowsLeft, 1, 0, TILE_VECTORS, columnTiles);
  run(lastRow, rowsLeft, 1, lastColumn, vectorsLeft, 1);
}
