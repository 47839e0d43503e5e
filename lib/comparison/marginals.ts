import { percentiles, resampledMeans } from "../evaluation/counts/bootstrap.js";
import { type CellRows, rowCount } from "./cell_rows.js";
import type { MeanVarianceScores, Quartiles, TotalsScores, ZeroFractionScores } from "./scores.js";
import { mean, pearson, quartiles, rmsDifference } from "./statistics.js";

/** Sums over the cells by gene. */
export interface GeneSums {
  /** Mean count, [genes]. */
  readonly means: Float64Array;
  /** Variance of the counts over cells - 1, [genes]. */
  readonly variances: Float64Array;
  /** Share of the cells without a count, [genes]. */
  readonly zeros: Float64Array;
}

/** Means, variances and zeros of each gene. */
export function geneSums(rows: CellRows): GeneSums {
  const cells = rowCount(rows);
  const sums = new Float64Array(rows.genes);
  const squares = new Float64Array(rows.genes);
  const expressed = new Float64Array(rows.genes);
  for (const [i, column] of rows.columns.entries()) {
    const count = rows.counts[i] as number;
    sums[column] = (sums[column] as number) + count;
    squares[column] = (squares[column] as number) + count * count;
    expressed[column] = (expressed[column] as number) + 1;
  }
  return {
    means: sums.map((sum) => sum / cells),
    variances: squares.map((square, gene) =>
      Math.max(0, (square - (sums[gene] as number) ** 2 / cells) / (cells - 1)),
    ),
    zeros: expressed.map((count) => 1 - count / cells),
  };
}

/** How often counts of some cells are 0. */
export interface ZeroShares {
  /** Share of all entries. */
  readonly share: number;
  /** The same of cells drawn with replacement, [resamples]. */
  readonly drawn: Float64Array;
}

/** How often counts are 0, over all entries of all sets. */
export async function zeroShares(
  sets: readonly CellRows[],
  resamples: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<ZeroShares> {
  const byCell = joined(sets, cellZeros);
  return { share: mean(byCell), drawn: await resampledMeans(byCell, resamples, seed, signal) };
}

/** The shares, and their difference with its interval over cells of both kinds. */
export function compareZeros(real: ZeroShares, generated: ZeroShares): Omit<ZeroFractionScores, "byGene"> {
  return {
    real: real.share,
    generated: generated.share,
    difference: {
      value: generated.share - real.share,
      ...percentiles(Array.from(generated.drawn, (value, i) => value - (real.drawn[i] as number))),
    },
  };
}

/** How often counts are 0, by gene. */
export function compareGeneZeros(real: GeneSums, generated: GeneSums): ZeroFractionScores["byGene"] {
  return {
    rms: rmsDifference(real.zeros, generated.zeros) as number,
    largest: real.zeros.reduce(
      (most, share, gene) => Math.max(most, Math.abs(share - (generated.zeros[gene] as number))),
      0,
    ),
    pearson: pearson(real.zeros, generated.zeros),
  };
}

/** Quartiles of the totals of all sets' cells; null for the relative difference to a quartile of 0. */
export function compareTotals(real: readonly CellRows[], generated: readonly CellRows[]): TotalsScores {
  const [ofReal, ofGenerated] = [real, generated].map((sets) =>
    quartiles(joined(sets, ({ totals }) => totals)),
  ) as [Quartiles, Quartiles];
  const relative = (name: keyof Quartiles) =>
    ofReal[name] > 0 ? ofGenerated[name] / ofReal[name] - 1 : null;
  return {
    real: ofReal,
    generated: ofGenerated,
    relative: { q1: relative("q1"), median: relative("median"), q3: relative("q3") },
  };
}

/** Natural logs of the genes' means and variances, over the genes for which all four are above 0. */
export function compareMoments(real: GeneSums, generated: GeneSums): MeanVarianceScores {
  const isCompared = (gene: number) =>
    [real.means, real.variances, generated.means, generated.variances].every(
      (values) => (values[gene] as number) > 0,
    );
  const genes = Int32Array.from(real.means.keys()).filter(isCompared);
  const compare = (values: Float64Array, others: Float64Array) => {
    const [x, y] = [values, others].map((list) =>
      Float64Array.from(genes, (gene) => Math.log(list[gene] as number)),
    ) as [Float64Array, Float64Array];
    return { pearson: pearson(x, y), rms: rmsDifference(x, y) };
  };
  return {
    genes: genes.length,
    mean: compare(real.means, generated.means),
    variance: compare(real.variances, generated.variances),
  };
}

/** A value of each cell, of all sets, [cells]. */
function joined(sets: readonly CellRows[], of: (rows: CellRows) => Float64Array): Float64Array {
  const values = new Float64Array(sets.reduce((sum, rows) => sum + rowCount(rows), 0));
  let next = 0;
  for (const rows of sets) {
    values.set(of(rows), next);
    next += rowCount(rows);
  }
  return values;
}

/** Share of the genes without a count, [cells]. */
function cellZeros({ offsets, genes, totals }: CellRows): Float64Array {
  return Float64Array.from(
    totals,
    (_, cell) => 1 - ((offsets[cell + 1] as number) - (offsets[cell] as number)) / genes,
  );
}
