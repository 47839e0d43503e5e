import { isTurnOver, takeTurn } from "../base/turns.js";
import { type CellRows, rowCount } from "./cell_rows.js";
import type { ComparisonScores } from "./scores.js";
import { mean, pearson } from "./statistics.js";

/** Genes whose correlations are compared, at most. */
const MOST_GENES = 200;

/**
 * Pearson correlation of the upper triangles of two gene-gene correlation matrices, of log1p counts: over the 200 genes of the
 * greatest sum in the real cells among those that are constant in neither set. Null for fewer than three such genes.
 */
export async function compareCorrelations(
  real: CellRows,
  generated: CellRows,
  signal: AbortSignal | undefined,
): Promise<number | null> {
  const genes = correlatedGenes(real, generated);
  if (genes.length < 3) return null;
  return pearson(await correlations(real, genes, signal), await correlations(generated, genes, signal));
}

/** `compareCorrelations` of several sets of cells: mean and standard deviation over those of which it can be said. */
export async function compareCorrelationSets(
  real: CellRows,
  sets: Iterable<CellRows>,
  signal: AbortSignal | undefined,
): Promise<Pick<ComparisonScores, "correlationStructure" | "correlationSets">> {
  const found: number[] = [];
  for (const cells of sets) {
    const one = await compareCorrelations(real, cells, signal);
    if (one !== null) found.push(one);
  }
  const count = found.length;
  const structure = count === 0 ? null : mean(found);
  const squares = found.reduce((sum, one) => sum + (one - (structure ?? 0)) ** 2, 0);
  const deviation = count < 2 ? null : Math.sqrt(squares / (count - 1));
  return { correlationStructure: structure, correlationSets: { count, deviation } };
}

/** The genes of the greatest sum in the real cells among those that are constant in neither set, `most` at most, by descending sum. */
export function correlatedGenes(real: CellRows, generated: CellRows, most = MOST_GENES): Int32Array {
  const [inReal, inGenerated] = [spread(real), spread(generated)];
  const sums = new Float64Array(real.genes);
  for (const [i, column] of real.columns.entries())
    sums[column] = (sums[column] as number) + (real.counts[i] as number);
  return Int32Array.from(sums.keys())
    .filter((gene) => inReal[gene] === 1 && inGenerated[gene] === 1)
    .sort((a, b) => (sums[b] as number) - (sums[a] as number) || a - b)
    .subarray(0, most);
}

/** Whether each gene has two different counts, [genes]. */
function spread(rows: CellRows): Uint8Array {
  const expressed = new Int32Array(rows.genes);
  const first = new Int32Array(rows.genes);
  const differs = new Uint8Array(rows.genes);
  for (const [i, column] of rows.columns.entries()) {
    const count = rows.counts[i] as number;
    if (expressed[column] === 0) first[column] = count;
    else if (first[column] !== count) differs[column] = 1;
    expressed[column] = (expressed[column] as number) + 1;
  }
  const cells = rowCount(rows);
  return differs.map((differing, gene) =>
    differing === 1 || ((expressed[gene] as number) > 0 && (expressed[gene] as number) < cells) ? 1 : 0,
  );
}

/** Upper triangle of the matrix of Pearson correlations of some genes' log1p counts, row by row. */
export async function correlations(
  rows: CellRows,
  genes: Int32Array,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const standard = standardised(rows, genes);
  const triangle = new Float64Array((genes.length * (genes.length - 1)) / 2);
  let place = 0;
  for (const [i, x] of standard.entries()) {
    if (isTurnOver()) await takeTurn(signal);
    for (const y of standard.slice(i + 1)) {
      let sum = 0;
      for (let cell = 0; cell < x.length; cell++) sum += (x[cell] as number) * (y[cell] as number);
      triangle[place++] = sum;
    }
  }
  return triangle;
}

/** The log1p counts of each gene, centred and of length 1, [genes][cells]. */
function standardised(rows: CellRows, genes: Int32Array): Float64Array[] {
  const cells = rowCount(rows);
  const placeOf = new Int32Array(rows.genes).fill(-1);
  for (const [place, gene] of genes.entries()) placeOf[gene] = place;
  const values = Array.from(genes, () => new Float64Array(cells));
  for (let cell = 0; cell < cells; cell++) {
    for (let i = rows.offsets[cell] as number; i < (rows.offsets[cell + 1] as number); i++) {
      const of = values[placeOf[rows.columns[i] as number] as number];
      if (of !== undefined) of[cell] = rows.logs[i] as number;
    }
  }
  for (const of of values) {
    const mean = of.reduce((sum, value) => sum + value, 0) / cells;
    const length = Math.sqrt(of.reduce((sum, value) => sum + (value - mean) ** 2, 0));
    for (let cell = 0; cell < cells; cell++) of[cell] = ((of[cell] as number) - mean) / length;
  }
  return values;
}
