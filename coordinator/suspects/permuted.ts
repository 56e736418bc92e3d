/** A block of rows ends with four a class, but is never so short or so long. */
const ROWS_A_CLASS = 4;
const [LEAST_ROWS, MOST_ROWS] = [512, 16_384];

/** Share of the rows that have to agree once the classes are renamed. */
const RENAMED = 0.6;

/** What a peer says of the rows of which the others say one class, counted over several rounds. */
export interface Confusion {
  /** Rows by (the others' class, the peer's class), as `other * classes + own`. */
  readonly cells: Map<number, number>;
  rows: number;
}

export function createConfusion(): Confusion {
  return { cells: new Map(), rows: 0 };
}

/** Counts one row. */
export function confuse(confusion: Confusion, others: number, own: number, classes: number): void {
  const cell = others * classes + own;
  confusion.cells.set(cell, (confusion.cells.get(cell) ?? 0) + 1);
  confusion.rows += 1;
}

/**
 * At the end of a block: whether the peer agrees with the others as soon as its classes are renamed, each to another
 * one, and not half as often as they are. A peer that is merely worse, or has not learned anything yet, gains little by
 * any renaming. Starts the next block.
 *
 * @returns `null` within a block
 */
export function isPermuted(confusion: Confusion, classes: number): boolean | null {
  const { cells, rows } = confusion;
  if (rows < Math.min(MOST_ROWS, Math.max(LEAST_ROWS, ROWS_A_CLASS * classes))) return null;
  let agreed = 0;
  for (const [cell, count] of cells) if (Math.trunc(cell / classes) === cell % classes) agreed += count;
  const renamed = bestRenaming(cells, classes);
  confusion.cells.clear();
  confusion.rows = 0;
  return renamed >= RENAMED * rows && agreed <= renamed / 2;
}

/**
 * Rows that agree when each class is renamed to at most one other and none twice: the largest cells first, which is at
 * least half of the best there is. Cells of a single row do not count: with many classes, any rows could be matched.
 */
function bestRenaming(cells: ReadonlyMap<number, number>, classes: number): number {
  const largest = [...cells].filter(([, count]) => count > 1).sort(([a, m], [b, n]) => n - m || a - b);
  const [taken, given] = [new Set<number>(), new Set<number>()];
  let rows = 0;
  for (const [cell, count] of largest) {
    const [other, own] = [Math.trunc(cell / classes), cell % classes];
    if (taken.has(other) || given.has(own)) continue;
    taken.add(other);
    given.add(own);
    rows += count;
  }
  return rows;
}
