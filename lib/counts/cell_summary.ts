import { checkKind, checkOptions } from "../base/arguments.js";
import { checkSeed, checkWhole, DdscError } from "../base/errors.js";
import { isNumbers } from "../base/json.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import type { SummaryPool } from "../native/counts.js";
import { END_GENE, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { CellSample, type SampledCell } from "./cell_sample.js";
import { type CountBase, shareOf } from "./count_base.js";
import { type Matrix, principalComponents } from "./principal_components.js";

/** The saved form of a `CellSummary`. */
export interface CellSummaryJson {
  readonly genes: readonly number[];
  readonly pool: readonly number[];
  readonly ridge: readonly number[];
}

/** How a `CellSummary` is learnt. */
export interface LearnSummaryOptions {
  /** Numbers that a cell is summarised by, 1..1024. Default 32. */
  readonly width?: number;
  /** Names the cells that are looked at and the start of the search; a whole number below 2^53. */
  readonly seed: number;
  /** Ends the learning; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** Numbers that a cell is summarised by, where nothing else is asked for. */
export const SUMMARY_WIDTH = 32;
/** Training cells that are looked at, at most. */
const MOST_CELLS = 3_000;
/** Genes that are pooled, at most: those of the greatest shares. */
const MOST_GENES = 4_096;
const LARGEST_RESIDUAL = 5;
const LEAST_VARIANCE = 1e-3;
/** What structure adds to a variance is taken to be this at least. */
const LEAST_EXCESS = 0.1;

/**
 * How a cell's visible genes, zeros included, are pooled into a few numbers that the network reads beside the evidence:
 * along the principal components of training cells' residuals, each shrunk as ridge regression would where little is visible.
 * `chooseQueries` computes the summaries; the formula stands there. Learnt from complete training cells, saved with the model.
 */
export class CellSummary {
  /** Ids of the pooled genes, ascending. */
  readonly genes: Int32Array;
  /** Loadings over the square root of what structure adds to the variance, row-major, [pooled genes, width]. */
  readonly pool: Float32Array;
  /** One over what structure adds to the variance, [width]. */
  readonly ridge: Float64Array;

  /**
   * Throws `ARGUMENT_RANGE` for genes that do not ascend from 3 on, a pool that has not a row of the ridge's width for each of
   * them, numbers that are not finite, a ridge that is not above 0.
   */
  constructor(parts: {
    readonly genes: Int32Array;
    readonly pool: Float32Array;
    readonly ridge: Float64Array;
  }) {
    checkKind("parts", parts, "object");
    checkKind("genes", parts.genes, "integers");
    checkKind("pool", parts.pool, "floats");
    checkKind("ridge", parts.ridge, "doubles");
    const problem = problemOf(parts);
    if (problem !== undefined)
      throw new DdscError("ARGUMENT_RANGE", `summary of cells: ${problem}`, { argument: "parts" });
    this.genes = parts.genes;
    this.pool = parts.pool;
    this.ridge = parts.ridge;
  }

  /**
   * Learns from training cells, of which nothing is hidden. With x the count of gene g, e the cell's depth estimated from all
   * its measured genes and m = e * share, the residuals
   *
   *   r = (x - m) / sqrt(m + m^2 / size + 1e-3) within -5..5,   0 for a gene that the cell does not measure
   *
   * of 3,000 random cells and the 4,096 measured genes of the greatest shares (all, where they are fewer) make a matrix, which
   * is not centred: the base is its centre. Of its principal component j with the loadings v and the variance s^2 a cell, noise
   * is about 1 and structure lambda = max(s^2 - 1, 0.1): pool = v / sqrt(lambda), ridge = 1 / lambda, with which
   * sum r pool / (f + ridge) is the component's score of unit variance as ridge regression estimates it from the share f of
   * genes. Components that cells or genes are too few for have a pool of 0.
   *
   * The same seed and cells, in any order and batches, make the same summary; panels must keep their numbers.
   *
   * Throws `DATA_NO_CELLS` where no cell passes by, `BATCH_INVALID` for batches without counts or of other panels,
   * `ARGUMENT_RANGE`, the signal's reason.
   *
   * @param batches all training cells or any part of them; each is dropped as soon as it was looked at
   * @param panels of the mapping that the batches are of (`GeneMapping.panels`)
   * @param base counted over the training cells
   */
  static async learn(
    batches: Iterable<RaggedBatch> | AsyncIterable<RaggedBatch>,
    panels: readonly Int32Array[],
    base: CountBase,
    options: LearnSummaryOptions,
  ): Promise<CellSummary> {
    checkKind("batches", batches, "batches");
    checkKind("panels", panels, "panels");
    checkKind("base", base, "base");
    checkOptions(options, { signal: "signal" });
    const { seed, signal } = options;
    const width = checkWhole("width", options.width ?? SUMMARY_WIDTH, 1, 1024);
    checkSeed(seed);
    const sample = new CellSample(MOST_CELLS, seed);
    for await (const batch of batches) {
      await takeTurn(signal);
      await sample.add(batch, signal);
    }
    await takeTurn(signal);
    const cells = sample.cells();
    if (cells.length === 0) {
      throw new DdscError(
        "DATA_NO_CELLS",
        "there is no cell to learn the summary of cells from; pass batches of the training cells",
        { argument: "batches" },
      );
    }
    await takeTurn(signal);
    const genes = pooledGenes(panelsOf(cells, panels, base), base.share);
    await takeTurn(signal);
    const matrix = await residuals(cells, genes, panels, base, signal);
    const { loadings, variances } = await principalComponents(matrix, width, seed, signal);
    await takeTurn(signal);
    const excess = variances.map((variance) => Math.max(variance - 1, LEAST_EXCESS));
    const scale = excess.map((one) => 1 / Math.sqrt(one));
    return new CellSummary({
      genes,
      pool: Float32Array.from(loadings, (loading, i) => loading * (scale[i % width] as number)),
      ridge: excess.map((one) => 1 / one),
    });
  }

  /** The summary that `toJSON` wrote. Throws `CHECKPOINT_CONFIG` for anything else; `file` is named in messages. */
  static fromJSON(json: unknown, file?: string): CellSummary {
    const { genes, pool, ridge } = (json ?? {}) as Readonly<Record<keyof CellSummaryJson, unknown>>;
    const problem =
      isNumbers(genes) && isNumbers(pool) && isNumbers(ridge)
        ? problemOf({ genes, pool, ridge })
        : "genes, pool and ridge must be lists of numbers";
    if (problem === undefined) {
      return new CellSummary({
        genes: Int32Array.from(genes as readonly number[]),
        pool: Float32Array.from(pool as readonly number[]),
        ridge: Float64Array.from(ridge as readonly number[]),
      });
    }
    throw new DdscError(
      "CHECKPOINT_CONFIG",
      `${file === undefined ? "" : `${file}: `}the summary of cells does not fit: ${problem}; the file is damaged or was changed by hand: restore it`,
      file === undefined ? {} : { file },
    );
  }

  /** Numbers that a cell is summarised by. */
  get width(): number {
    return this.ridge.length;
  }

  /** What `chooseQueries` takes: the summary, and the statistics of depth that it was learnt with. */
  poolWith(base: CountBase): SummaryPool {
    const { genes, pool, ridge } = this;
    return { genes, pool, ridge, size: base.size, meanDepth: base.meanDepth, spread: base.spread };
  }

  /**
   * The same summary over the ids of another vocabulary: a pooled gene that it does not have is as one that no cell measures, for
   * which f, the share of pooled genes that a cell shows, must count it still. With P pooled genes of which K are left, that is
   * pool and ridge times P / K (sum r pool / (n / P + ridge), n visible ones of K).
   * @param ids the other vocabulary's id of a gene by this one's; no id twice
   * @returns undefined where no pooled gene is left
   */
  withGenes(ids: ReadonlyMap<number, number>): CellSummary | undefined {
    const rows = Array.from(this.genes, (gene, row) => ({ row, id: ids.get(gene) ?? -1 }))
      .filter(({ id }) => id >= 0)
      .sort((a, b) => a.id - b.id);
    if (rows.length === 0) return undefined;
    const { width, pool } = this;
    const scale = this.genes.length / rows.length;
    const kept = new Float32Array(rows.length * width);
    for (const [place, { row }] of rows.entries())
      kept.set(
        pool.subarray(row * width, (row + 1) * width).map((loading) => loading * scale),
        place * width,
      );
    return new CellSummary({
      genes: Int32Array.from(rows, ({ id }) => id),
      pool: kept,
      ridge: this.ridge.map((one) => one * scale),
    });
  }

  /** Plain JSON from which `fromJSON` makes the same summary again, to the last bit; nine digits tell every float32. */
  toJSON(): CellSummaryJson {
    return {
      genes: [...this.genes],
      pool: Array.from(this.pool, (value) => Number(value.toPrecision(9))),
      ridge: [...this.ridge],
    };
  }
}

/** The panels of cells, by number. */
function panelsOf(
  cells: readonly SampledCell[],
  panels: readonly Int32Array[],
  base: CountBase,
): ReadonlyMap<number, Int32Array> {
  const found = new Map<number, Int32Array>();
  for (const { panel } of cells) {
    if (found.has(panel)) continue;
    const genes = panels[panel];
    if (genes === undefined) {
      throw new DdscError(
        "BATCH_INVALID",
        `the batch names panel ${panel}, and there are ${panels.length}; pass those of the mapping it was made with`,
        { argument: "panels" },
      );
    }
    if ((genes.at(-1) ?? 0) >= base.share.length) {
      throw new DdscError(
        "BATCH_INVALID",
        `panel ${panel} has gene id ${genes.at(-1)}, and the statistics of counts are of ${base.share.length} gene ids; pass those of the same vocabulary`,
        { argument: "base" },
      );
    }
    found.set(panel, genes);
  }
  return found;
}

/** The measured genes of the greatest shares, ascending. */
function pooledGenes(panels: ReadonlyMap<number, Int32Array>, share: Float64Array): Int32Array {
  const measured = new Set<number>();
  for (const genes of panels.values()) for (const gene of genes) measured.add(gene);
  const byShare = [...measured].sort((a, b) => (share[b] ?? 0) - (share[a] ?? 0) || a - b);
  return Int32Array.from(byShare.slice(0, MOST_GENES)).sort();
}

/** Residuals of cells at genes. */
async function residuals(
  cells: readonly SampledCell[],
  genes: Int32Array,
  panels: readonly Int32Array[],
  base: CountBase,
  signal?: AbortSignal,
): Promise<Matrix> {
  const columns = genes.length;
  const columnOf = new Int32Array(base.share.length).fill(-1);
  for (const [column, gene] of genes.entries()) columnOf[gene] = column;
  const measured = new Map(
    [...panelsOf(cells, panels, base)].map(([number, panel]) => [
      number,
      {
        share: shareOf(panel, base.share),
        pooled: panel.filter((gene) => (columnOf[gene] as number) >= 0),
      },
    ]),
  );
  const values = new Float32Array(cells.length * columns);
  for (const [row, cell] of cells.entries()) {
    if (isTurnOver()) await takeTurn(signal);
    const { share, pooled } = measured.get(cell.panel) ?? { share: 0, pooled: genes.subarray(0, 0) };
    const depth = base.estimateDepth(
      cell.counts.reduce((sum, count) => sum + count, 0),
      share,
    );
    const first = row * columns;
    for (const gene of pooled)
      values[first + (columnOf[gene] as number)] = residual(
        0,
        depth * (base.share[gene] as number),
        base.size[gene] as number,
      );
    for (const [i, gene] of cell.genes.entries()) {
      const column = columnOf[gene] as number;
      if (column < 0) continue;
      const mean = depth * (base.share[gene] as number);
      values[first + column] = residual(cell.counts[i] as number, mean, base.size[gene] as number);
    }
  }
  return { values, rows: cells.length, columns };
}

function residual(count: number, mean: number, size: number): number {
  const value = (count - mean) / Math.sqrt(mean + (mean * mean) / size + LEAST_VARIANCE);
  return Math.min(Math.max(value, -LARGEST_RESIDUAL), LARGEST_RESIDUAL);
}

/** What is wrong with a summary, if anything. */
function problemOf(parts: {
  readonly genes: ArrayLike<number>;
  readonly pool: ArrayLike<number>;
  readonly ridge: ArrayLike<number>;
}): string | undefined {
  const { genes, pool, ridge } = parts;
  if (ridge.length === 0) return "the ridge is empty";
  if (pool.length !== genes.length * ridge.length)
    return `the pool has ${pool.length} numbers, not ${genes.length} genes times ${ridge.length}`;
  let before = END_GENE;
  for (let i = 0; i < genes.length; i++) {
    const gene = genes[i] as number;
    if (!Number.isInteger(gene) || gene <= before || gene >= 2 ** 31)
      return `gene id ${gene} does not ascend from ${END_GENE + 1} on`;
    before = gene;
  }
  for (let i = 0; i < pool.length; i++) {
    if (!Number.isFinite(Math.fround(pool[i] as number)))
      return `number ${i % ridge.length} of gene id ${genes[Math.floor(i / ridge.length)]} is ${pool[i]}, not a finite float32`;
  }
  for (let j = 0; j < ridge.length; j++) {
    if (!((ridge[j] as number) > 0 && (ridge[j] as number) < Number.POSITIVE_INFINITY))
      return `ridge ${j} is ${ridge[j]}, not above 0`;
  }
  return undefined;
}
