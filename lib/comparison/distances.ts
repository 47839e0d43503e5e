import { isTurnOver, takeTurn } from "../base/turns.js";
import { type CellRows, rowCount } from "./cell_rows.js";

/** Cells whose distances to another cell are computed together. */
const LANES = 8;

/** Cells of a block next to each other by gene, and their squared lengths. */
interface Block {
  /** log1p counts, [genes, LANES]; zeros beyond the last cell. */
  readonly lanes: Float64Array;
  readonly squares: Float64Array;
}

/**
 * Mean Euclidean distance between the log1p counts of the cells of two sets, over all pairs; with `others` left out within one
 * set, over pairs of different cells.
 */
export async function meanDistance(
  cells: CellRows,
  others: CellRows | undefined,
  signal: AbortSignal | undefined,
): Promise<number> {
  let sum = 0;
  const within = others === undefined;
  await eachDistance(cells, others ?? cells, within, signal, (first, other, distances, size) => {
    // Within a set each pair counts once.
    const lanes = within ? Math.min(size, other - first) : size;
    for (let lane = 0; lane < lanes; lane++) sum += distances[lane] as number;
  });
  const count = rowCount(cells);
  return within ? (2 * sum) / (count * (count - 1)) : sum / (count * rowCount(others));
}

/**
 * Euclidean distance of each cell's log1p counts to those of the nearest cell of another set, [cells]; 0 exactly for equal ones.
 *
 * @param own places of the cells themselves in `others`, which are then no neighbours, [cells]
 */
export async function nearestDistances(
  cells: CellRows,
  others: CellRows,
  signal: AbortSignal | undefined,
  own?: Int32Array,
): Promise<Float64Array> {
  const nearest = new Float64Array(rowCount(cells)).fill(Number.POSITIVE_INFINITY);
  await eachDistance(cells, others, false, signal, (first, other, distances, size) => {
    for (let lane = 0; lane < size; lane++) {
      const cell = first + lane;
      const distance = distances[lane] as number;
      if (distance < (nearest[cell] as number) && own?.[cell] !== other) nearest[cell] = distance;
    }
  });
  return nearest;
}

/** Goes through blocks of cells and, for each, through the others; of these only later ones than the first of the block if asked. */
async function eachDistance(
  cells: CellRows,
  others: CellRows,
  laterOnly: boolean,
  signal: AbortSignal | undefined,
  visit: (first: number, other: number, distances: Float64Array, size: number) => void,
): Promise<void> {
  const block: Block = { lanes: new Float64Array(cells.genes * LANES), squares: new Float64Array(LANES) };
  const products = new Float64Array(LANES);
  const squares = squaresOf(others);
  for (let first = 0; first < rowCount(cells); first += LANES) {
    const size = Math.min(LANES, rowCount(cells) - first);
    fill(block, cells, first, size);
    for (let other = laterOnly ? first + 1 : 0; other < rowCount(others); other++) {
      if (other % 64 === 0 && isTurnOver()) await takeTurn(signal);
      multiply(block.lanes, others, other, products);
      for (let lane = 0; lane < size; lane++) {
        const square =
          (block.squares[lane] as number) + (squares[other] as number) - 2 * (products[lane] as number);
        products[lane] = square > 0 ? Math.sqrt(square) : 0;
      }
      visit(first, other, products, size);
    }
    clear(block, cells, first, size);
  }
}

/** Sums in the order of `multiply`, so that equal cells are at distance 0 exactly. */
function squaresOf({ offsets, logs, totals }: CellRows): Float64Array {
  return Float64Array.from(totals, (_, cell) => {
    let sum = 0;
    for (let i = offsets[cell] as number; i < (offsets[cell + 1] as number); i++)
      sum += (logs[i] as number) * (logs[i] as number);
    return sum;
  });
}

function fill({ lanes, squares }: Block, { offsets, columns, logs }: CellRows, first: number, size: number) {
  for (let lane = 0; lane < size; lane++) {
    let sum = 0;
    for (let i = offsets[first + lane] as number; i < (offsets[first + lane + 1] as number); i++) {
      const log = logs[i] as number;
      lanes[(columns[i] as number) * LANES + lane] = log;
      sum += log * log;
    }
    squares[lane] = sum;
  }
}

function clear({ lanes }: Block, { offsets, columns }: CellRows, first: number, size: number): void {
  for (let i = offsets[first] as number; i < (offsets[first + size] as number); i++) {
    const start = (columns[i] as number) * LANES;
    lanes.fill(0, start, start + LANES);
  }
}

/** Inner products of the cells of a block with one other cell: eight sums at a time keep the loop free of memory. */
function multiply(
  lanes: Float64Array,
  { offsets, columns, logs }: CellRows,
  other: number,
  out: Float64Array,
): void {
  let [s0, s1, s2, s3, s4, s5, s6, s7] = [0, 0, 0, 0, 0, 0, 0, 0];
  const end = offsets[other + 1] as number;
  for (let i = offsets[other] as number; i < end; i++) {
    const at = (columns[i] as number) * LANES;
    const log = logs[i] as number;
    s0 += log * (lanes[at] as number);
    s1 += log * (lanes[at + 1] as number);
    s2 += log * (lanes[at + 2] as number);
    s3 += log * (lanes[at + 3] as number);
    s4 += log * (lanes[at + 4] as number);
    s5 += log * (lanes[at + 5] as number);
    s6 += log * (lanes[at + 6] as number);
    s7 += log * (lanes[at + 7] as number);
  }
  out[0] = s0;
  out[1] = s1;
  out[2] = s2;
  out[3] = s3;
  out[4] = s4;
  out[5] = s5;
  out[6] = s6;
  out[7] = s7;
}
