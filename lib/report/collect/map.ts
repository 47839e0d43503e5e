import { Purpose, RandomStream } from "../../base/random.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import { type CellRows, rowCount, takeRows } from "../../comparison/cell_rows.js";
import { principalComponents } from "../../counts/principal_components.js";
import type { MapPart } from "../report_data.js";
import type { SideBySide } from "./generated.js";
import type { ShownNames } from "./texts.js";

/** Cells of each kind, at most. */
const MOST_CELLS = 1000;
/** Genes of the greatest variance that count, at most. */
const MOST_GENES = 2000;
/** Principal components that distances are taken in. */
const COMPONENTS = 30;
const NEIGHBOURS = 15;
const EPOCHS = 200;
/** Total that counts are scaled to before log1p. */
const SCALE = 10_000;
/** Step of the stream `Purpose.simulate` that the map draws from, apart from those of other draws. */
const MAP_STEP = 2 ** 43 + 32;

/**
 * UMAP of real and generated cells together, on principal components of log1p of counts per 10,000 (centred; the 2,000 genes of the
 * greatest variance), with 15 exact neighbours. A function of cells and seed alone.
 */
export async function mapCells(
  { real, generated }: SideBySide,
  {
    seed,
    signal,
    names,
  }: { readonly seed: number; readonly signal: AbortSignal | undefined; readonly names: ShownNames },
): Promise<MapPart> {
  const [some, drawn] = [firstOf(real), firstOf(generated)];
  const logs = centredLogs([some, drawn]);
  const scores = await componentScores(logs, seed, signal);
  const { UMAP } = await import("umap-js");
  const random = new RandomStream(seed, Purpose.simulate, MAP_STEP);
  const nNeighbors = Math.min(NEIGHBOURS, scores.length - 1);
  const umap = new UMAP({ nNeighbors, nEpochs: EPOCHS, random: () => random.uniform() });
  const { indices, distances } = await nearest(scores, nNeighbors, signal);
  umap.setPrecomputedKNN(indices, distances);
  const epochs = umap.initializeFit(scores);
  for (let epoch = 0; epoch < epochs; epoch++) {
    umap.step();
    await takeTurn(signal);
  }
  const labels = [...some.labels, ...drawn.labels].map((label) => (label === "" ? "" : names.of(label)));
  return {
    points: umap.getEmbedding().flatMap(([x = 0, y = 0]) => [round(x), round(y)]),
    isGenerated: [...some.labels.map(() => 0 as const), ...drawn.labels.map(() => 1 as const)],
    ...(labels.some((label) => label !== "") ? { labels } : {}),
  };
}

/** Rows have been drawn at random: the first ones are as good as any. */
function firstOf(rows: CellRows): CellRows {
  const cells = Math.min(MOST_CELLS, rowCount(rows));
  return takeRows(
    rows,
    Int32Array.from({ length: cells }, (_, i) => Math.floor((i * rowCount(rows)) / cells)),
  );
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** log1p of counts per 10,000 less the gene's mean, over the genes of the greatest variance, [cells][genes]. */
function centredLogs(sets: readonly CellRows[]): Float32Array[] {
  const cells = sets.reduce((sum, rows) => sum + rowCount(rows), 0);
  const genes = sets[0]?.genes ?? 0;
  const sums = new Float64Array(genes);
  const squares = new Float64Array(genes);
  const each = (use: (cell: number, gene: number, value: number) => void) => {
    let first = 0;
    for (const rows of sets) {
      for (const [cell, total] of rows.totals.entries()) {
        for (let i = rows.offsets[cell] ?? 0; i < (rows.offsets[cell + 1] ?? 0); i++)
          use(
            first + cell,
            rows.columns[i] ?? 0,
            Math.log1p(((rows.counts[i] ?? 0) * SCALE) / Math.max(1, total)),
          );
      }
      first += rowCount(rows);
    }
  };
  each((_, gene, value) => {
    sums[gene] = (sums[gene] ?? 0) + value;
    squares[gene] = (squares[gene] ?? 0) + value * value;
  });
  const variance = (gene: number) => (squares[gene] ?? 0) / cells - ((sums[gene] ?? 0) / cells) ** 2;
  const kept = Array.from(sums.keys())
    .sort((a, b) => variance(b) - variance(a) || a - b)
    .slice(0, MOST_GENES);
  const placeOf = new Int32Array(genes).fill(-1);
  for (const [place, gene] of kept.entries()) placeOf[gene] = place;
  const negated = Float32Array.from(kept, (gene) => -(sums[gene] ?? 0) / cells);
  const values = Array.from({ length: cells }, () => negated.slice());
  each((cell, gene, value) => {
    const place = placeOf[gene] ?? -1;
    const row = values[cell];
    if (place >= 0 && row !== undefined) row[place] = (row[place] ?? 0) + value;
  });
  return values;
}

/** Each row along the first principal components. */
async function componentScores(
  values: readonly Float32Array[],
  seed: number,
  signal: AbortSignal | undefined,
): Promise<number[][]> {
  const columns = values[0]?.length ?? 0;
  const flat = new Float32Array(values.length * columns);
  for (const [row, own] of values.entries()) flat.set(own, row * columns);
  const width = Math.min(COMPONENTS, columns, values.length);
  const matrix = { values: flat, rows: values.length, columns };
  const { loadings } = await principalComponents(matrix, width, seed, signal);
  const scores: number[][] = [];
  for (const own of values) {
    if (isTurnOver()) await takeTurn(signal);
    const score = new Array<number>(width).fill(0);
    for (let column = 0; column < columns; column++) {
      const value = own[column] ?? 0;
      for (let j = 0; j < width; j++)
        score[j] = (score[j] ?? 0) + value * (loadings[column * width + j] ?? 0);
    }
    scores.push(score);
  }
  return scores;
}

/** The nearest cells of each cell, itself first, and their Euclidean distances. */
async function nearest(
  scores: readonly (readonly number[])[],
  count: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly indices: number[][]; readonly distances: number[][] }> {
  const indices: number[][] = [];
  const distances: number[][] = [];
  for (const one of scores) {
    if (isTurnOver()) await takeTurn(signal);
    const to = Float64Array.from(scores, (other) =>
      other.reduce((sum, value, i) => sum + (value - (one[i] ?? 0)) ** 2, 0),
    );
    const place = indices.length;
    const order = Array.from(to.keys()).sort(
      (a, b) => Number(b === place) - Number(a === place) || (to[a] ?? 0) - (to[b] ?? 0) || a - b,
    );
    const own = order.slice(0, count);
    indices.push(own);
    distances.push(own.map((i) => Math.sqrt(to[i] ?? 0)));
  }
  return { indices, distances };
}
