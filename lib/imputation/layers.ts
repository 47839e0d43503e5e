import { Purpose, RandomStream } from "../base/random.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import { chanceAboveZero, negativeBinomialQuantile } from "../counts/negative_binomial_quantile.js";
import type { SparseRows } from "../data/anndata/write_matrices.js";
import type { DenoisedCells } from "./denoise_cells.js";

/** Layers that can be written of denoised cells. */
export const IMPUTED_LAYERS = ["denoised", "p_expressed", "low", "high", "replicate"] as const;
/** One of them. */
export type ImputedLayer = (typeof IMPUTED_LAYERS)[number];

/** The replicate counts that `low` and `high` are quantiles of. */
const QUANTILES = { low: 0.05, high: 0.95 } as const;
/** Step of the stream `Purpose.draw` that `replicate` is drawn by, apart from those of samplers. */
const REPLICATE_STEP = 2 ** 43;

/** How rows of layers are made. */
export interface LayerOptions {
  /** Values of `denoised` and `p_expressed` below it are left out. */
  readonly least: number;
  /** By column, 1 where genes are predicted: `denoised` holds the counts of the others. */
  readonly isPredicted: Uint8Array;
  /** Of the draws of `replicate`, which go by it, row and column: not by what is drawn beside them. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/** Whether a layer's values are whole numbers. */
export function isOfCounts(layer: ImputedLayer): boolean {
  return layer === "low" || layer === "high" || layer === "replicate";
}

/** Rows of a layer. Lets the event loop run between cells; throws the signal's reason once it is aborted. */
export async function layerRows(
  layer: ImputedLayer,
  cells: DenoisedCells,
  { least, isPredicted, seed, signal }: LayerOptions,
): Promise<SparseRows> {
  switch (layer) {
    case "denoised":
      return denoisedRows(cells, least, isPredicted, signal);
    case "p_expressed":
      return chosen(
        cells,
        (mean, shape) => chanceAboveZero(mean, shape),
        (value) => value > 0 && value >= least,
        new Float32Array(cells.mean.length),
        signal,
      );
    case "low":
    case "high": {
      const p = QUANTILES[layer];
      return chosen(
        cells,
        (mean, shape) => negativeBinomialQuantile(p, mean, shape),
        (value) => value > 0,
        new Int32Array(cells.mean.length),
        signal,
      );
    }
    case "replicate":
      return chosen(
        cells,
        drawsOf(cells, seed),
        (value) => value > 0,
        new Int32Array(cells.mean.length),
        signal,
      );
  }
}

/** Draws a replicate count of each entry: the quantile of a uniform random number, which row and column name. */
function drawsOf({ block: { rows } }: DenoisedCells, seed: number): ValueOf {
  let of = -1;
  let stream: RandomStream | undefined;
  return (mean, shape, cell, column) => {
    if (cell !== of || stream === undefined)
      stream = new RandomStream(seed, Purpose.draw, REPLICATE_STEP, rows[cell]);
    of = cell;
    // Within what a quantile is defined for: above 0, below 1.
    const p = Math.min(Math.max(stream.uniformAt(column), Number.EPSILON), 1 - Number.EPSILON);
    return negativeBinomialQuantile(p, mean, shape);
  };
}

/** Value of an entry, by mean and shape of its rate, its cell's place in the block and its column. */
type ValueOf = (mean: number, shape: number, cell: number, column: number) => number;

/** The counts of a block's cells as they are. */
export function countRows({ block: { offsets, columns, counts } }: Pick<DenoisedCells, "block">): SparseRows {
  return { offsets, columns, values: counts };
}

/** A function of the entries' means and shapes, where it is kept. */
async function chosen(
  { offsets, columns, mean, shape }: DenoisedCells,
  valueFrom: ValueOf,
  isKept: (value: number) => boolean,
  values: Float32Array | Int32Array,
  signal?: AbortSignal,
): Promise<SparseRows> {
  const bounds = new Int32Array(offsets.length);
  const kept = new Int32Array(columns.length);
  const chooseOf = (cell: number, start: number): number => {
    let length = start;
    for (let i = offsets[cell] ?? 0; i < (offsets[cell + 1] ?? 0); i++) {
      const column = columns[i] ?? 0;
      const value = valueFrom(mean[i] ?? 0, shape[i] ?? 0, cell, column);
      if (!isKept(value)) continue;
      kept[length] = column;
      values[length++] = value;
    }
    return length;
  };
  let length = 0;
  for (let cell = 0; cell + 1 < offsets.length; cell++) {
    if (isTurnOver()) await takeTurn(signal);
    length = chooseOf(cell, length);
    bounds[cell + 1] = length;
  }
  return { offsets: bounds, columns: kept.subarray(0, length), values: values.subarray(0, length) };
}

/** Means of predicted genes and counts of the others, by ascending column. */
async function denoisedRows(
  { block, offsets, columns, mean }: DenoisedCells,
  least: number,
  isPredicted: Uint8Array,
  signal?: AbortSignal,
): Promise<SparseRows> {
  const bounds = new Int32Array(offsets.length);
  const kept = new Int32Array(columns.length + block.columns.length);
  const values = new Float32Array(kept.length);
  let length = 0;
  const add = (column: number, value: number) => {
    kept[length] = column;
    values[length++] = value;
  };
  const addCell = (cell: number): void => {
    let counted = block.offsets[cell] ?? 0;
    const end = block.offsets[cell + 1] ?? 0;
    const addCounts = (before: number) => {
      for (; counted < end && (block.columns[counted] ?? 0) < before; counted++) {
        const column = block.columns[counted] ?? 0;
        if (isPredicted[column] === 0) add(column, block.counts[counted] ?? 0);
      }
    };
    for (let i = offsets[cell] ?? 0; i < (offsets[cell + 1] ?? 0); i++) {
      const value = mean[i] ?? 0;
      if (!(value > 0 && value >= least)) continue;
      const column = columns[i] ?? 0;
      addCounts(column);
      add(column, value);
    }
    addCounts(Number.POSITIVE_INFINITY);
  };
  for (let cell = 0; cell + 1 < offsets.length; cell++) {
    if (isTurnOver()) await takeTurn(signal);
    addCell(cell);
    bounds[cell + 1] = length;
  }
  return { offsets: bounds, columns: kept.subarray(0, length), values: values.subarray(0, length) };
}
