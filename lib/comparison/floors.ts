import { negativeBinomialOfSize } from "../base/count_draws.js";
import { Purpose, RandomStream } from "../base/random.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import { sizeByMoments } from "../counts/negative_binomial.js";
import { type CellRows, placesByLabel, takeRows, transpose, withLogs } from "./cell_rows.js";

/** Steps of random streams, apart from those of training and simulation. */
const DRAW_STEP = 2 ** 43 + 256;
const PERMUTE_STEP = 2 ** 43 + 257;

/**
 * Cells drawn from negative binomials: one for each template, of its type and depth L (its total), each gene with the mean L
 * share[type, gene] and the gene's size. Shares are the type's counts of the gene over all its counts; sizes come from moments about
 * these means over all training cells, sum mean^2 / (sum (count - mean)^2 - sum mean), within 0.01..100; 100 where that is not positive.
 *
 * @param templates places of training cells
 */
export async function drawNegativeBinomial(
  training: CellRows,
  templates: Int32Array,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<CellRows> {
  const types = placesByLabel(training.labels);
  const shares = new Map([...types].map(([type, places]) => [type, sharesOf(training, places)]));
  const sizes = sizesOf(training, types, shares);
  const offsets = new Int32Array(templates.length + 1);
  const columns: number[] = [];
  const counts: number[] = [];
  const labels: string[] = [];
  for (const [i, template] of templates.entries()) {
    const label = training.labels[template] as string;
    const own = shares.get(label) as Float64Array;
    const depth = training.totals[template] as number;
    const stream = new RandomStream(seed, Purpose.simulate, DRAW_STEP, i);
    for (let gene = 0; gene < training.genes; gene++) {
      const mean = depth * (own[gene] as number);
      if (mean === 0) continue;
      const count = negativeBinomialOfSize(stream, mean, sizes[gene] as number);
      if (count === 0) continue;
      columns.push(gene);
      counts.push(count);
    }
    offsets[i + 1] = columns.length;
    labels.push(label);
    if (isTurnOver()) await takeTurn(signal);
  }
  const sparse = { offsets, columns: Int32Array.from(columns), counts: Int32Array.from(counts) };
  return withLogs(sparse, training.genes, labels);
}

/** Cells of which each gene's counts, zeros too, are permuted at random among the cells of the same type. */
export async function permuteWithinTypes(
  cells: CellRows,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<CellRows> {
  const parts: CellRows[] = [];
  const placeOf = new Int32Array(cells.totals.length);
  let done = 0;
  for (const [number, places] of [...placesByLabel(cells.labels).values()].entries()) {
    const own = takeRows(cells, places);
    const genes = transpose({ ...own, values: own.counts }, cells.genes);
    const stream = new RandomStream(seed, Purpose.shuffle, PERMUTE_STEP, number);
    // Any order will do to go on from: what is drawn from it is uniform.
    const order = Int32Array.from(places.keys());
    for (let gene = 0; gene < cells.genes; gene++) {
      const [start, end] = [genes.offsets[gene] as number, genes.offsets[gene + 1] as number];
      for (let i = start; i < end; i++) {
        const at = i - start;
        const other = at + stream.below(order.length - at);
        const cell = order[other] as number;
        order[other] = order[at] as number;
        order[at] = cell;
        genes.columns[i] = cell;
      }
      if (isTurnOver()) await takeTurn(signal);
    }
    const { offsets, columns, values: counts } = transpose(genes, places.length);
    parts.push(withLogs({ offsets, columns, counts }, cells.genes, own.labels));
    for (const [i, cell] of places.entries()) placeOf[cell] = done + i;
    done += places.length;
  }
  return takeRows(joined(parts), placeOf);
}

/** A type's counts of each gene over all its counts, [genes]; zeros where it has none. */
function sharesOf(rows: CellRows, places: Int32Array): Float64Array {
  const sums = new Float64Array(rows.genes);
  let total = 0;
  for (const cell of places) {
    total += rows.totals[cell] as number;
    for (let i = rows.offsets[cell] as number; i < (rows.offsets[cell + 1] as number); i++) {
      const column = rows.columns[i] as number;
      sums[column] = (sums[column] as number) + (rows.counts[i] as number);
    }
  }
  return total === 0 ? sums : sums.map((sum) => sum / total);
}

function sizesOf(
  rows: CellRows,
  types: ReadonlyMap<string, Int32Array>,
  shares: ReadonlyMap<string, Float64Array>,
): Float64Array {
  const squaredMeans = new Float64Array(rows.genes);
  const excess = new Float64Array(rows.genes);
  for (const [type, places] of types) {
    const own = shares.get(type) as Float64Array;
    let [depth, squaredDepth] = [0, 0];
    for (const cell of places) {
      const total = rows.totals[cell] as number;
      depth += total;
      squaredDepth += total * total;
      for (let i = rows.offsets[cell] as number; i < (rows.offsets[cell + 1] as number); i++) {
        const column = rows.columns[i] as number;
        const count = rows.counts[i] as number;
        excess[column] =
          (excess[column] as number) + count * count - 2 * count * total * (own[column] as number);
      }
    }
    for (let gene = 0; gene < rows.genes; gene++) {
      const share = own[gene] as number;
      const squares = share * share * squaredDepth;
      squaredMeans[gene] = (squaredMeans[gene] as number) + squares;
      excess[gene] = (excess[gene] as number) + squares - share * depth;
    }
  }
  return excess.map((variance, gene) => sizeByMoments(squaredMeans[gene] as number, variance));
}

/** Cells of several sets, end to end. */
function joined(parts: readonly CellRows[]): CellRows {
  const lengths = parts.flatMap(({ offsets }) =>
    Array.from(offsets.subarray(1), (end, i) => end - (offsets[i] as number)),
  );
  const offsets = new Int32Array(lengths.length + 1);
  for (const [i, length] of lengths.entries()) offsets[i + 1] = (offsets[i] as number) + length;
  const size = offsets[lengths.length] as number;
  const columns = new Int32Array(size);
  const counts = new Int32Array(size);
  let place = 0;
  for (const part of parts) {
    columns.set(part.columns, place);
    counts.set(part.counts, place);
    place += part.columns.length;
  }
  return withLogs(
    { offsets, columns, counts },
    parts[0]?.genes ?? 0,
    parts.flatMap(({ labels }) => labels),
  );
}
