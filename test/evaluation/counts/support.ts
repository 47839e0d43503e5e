import { Purpose, RandomStream } from "../../../lib/base/random.js";
import { MeanPredictor } from "../../../lib/evaluation/counts/baselines/mean_predictor.js";
import type { CountBase, CountCells } from "../../../lib/evaluation/counts/count_cells.js";
import type { MaskedCells } from "../../../lib/evaluation/counts/masked_cells.js";
import type { CountDenoiser, CountPredictor } from "../../../lib/evaluation/counts/predictor.js";

/** Gene ids start here. */
export const FIRST_GENE = 3;

/** Cells of one panel from dense counts; column 0 is gene id 3. */
export function cellsOf(dense: readonly (readonly number[])[], labels?: readonly string[]): CountCells {
  const offsets = [0];
  const genes: number[] = [];
  const counts: number[] = [];
  for (const row of dense) {
    row.forEach((count, column) => {
      if (count === 0) return;
      genes.push(column + FIRST_GENE);
      counts.push(count);
    });
    offsets.push(genes.length);
  }
  return {
    offsets: Int32Array.from(offsets),
    genes: Int32Array.from(genes),
    counts: Int32Array.from(counts),
    panels: new Int32Array(dense.length),
    panelGenes: [Int32Array.from(dense[0]!, (_, column) => column + FIRST_GENE)],
    ...(labels === undefined ? {} : { labels }),
  };
}

/** Dense counts of cells of one panel. */
export function denseOf(cells: CountCells): number[][] {
  const width = cells.panelGenes[0]!.length;
  return Array.from(cells.panels, (_, cell) => {
    const row = new Array<number>(width).fill(0);
    for (let i = cells.offsets[cell]!; i < cells.offsets[cell + 1]!; i++) {
      row[cells.genes[i]! - FIRST_GENE] = cells.counts[i]!;
    }
    return row;
  });
}

/** The base by its formulas, densely. */
export function baseOf(dense: readonly (readonly number[])[]): CountBase {
  const width = dense[0]!.length;
  const totals = dense.map((row) => row.reduce((sum, count) => sum + count, 0));
  const all = totals.reduce((sum, total) => sum + total, 0);
  const mean = all / totals.length;
  const share = new Float64Array(width + FIRST_GENE);
  const size = new Float64Array(width + FIRST_GENE).fill(1);
  for (let column = 0; column < width; column++) {
    const sum = dense.reduce((total, row) => total + row[column]!, 0);
    const s = (sum + 0.5) / (all + width / 2);
    const excess = dense.reduce(
      (total, row, i) => total + (row[column]! - totals[i]! * s) ** 2 - totals[i]! * s,
      0,
    );
    const squares = totals.reduce((total, each) => total + each * each, 0);
    share[column + FIRST_GENE] = s;
    size[column + FIRST_GENE] = excess > 0 ? Math.min(100, Math.max(0.01, (s * s * squares) / excess)) : 100;
  }
  const variance = totals.reduce((sum, total) => sum + (total - mean) ** 2, 0) / totals.length;
  return { share, size, meanDepth: mean, spread: mean ** 2 / Math.max(variance, 1e-9) };
}

/** A draw of a Gamma distribution with this shape and mean 1 (Marsaglia and Tsang 2000; shape 1 or more). */
export function gamma(stream: RandomStream, shape: number): number {
  const d = shape - 1 / 3;
  for (;;) {
    const normal = stream.normal();
    const v = (1 + normal / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(stream.uniform()) < 0.5 * normal * normal + d - d * v + d * Math.log(v)) {
      return (d * v) / shape;
    }
  }
}

/** A draw of a Poisson distribution, by inversion. */
export function poisson(stream: RandomStream, mean: number): number {
  let left = stream.uniform();
  let term = Math.exp(-mean);
  let count = 0;
  while (left > term && count < 10_000) {
    left -= term;
    count++;
    term *= mean / count;
  }
  return count;
}

/** What cells are drawn from: two types, their shares, and each cell's depth. */
export interface Truth {
  readonly dense: number[][];
  readonly labels: string[];
  readonly depths: number[];
  /** Shares by type, [2][genes]. */
  readonly shares: readonly (readonly number[])[];
}

/** Poisson counts of cells of two types, half of the genes ten times as strong in one as in the other. */
export function twoTypes(cells: number, genes: number, seed: number, depth = 60): Truth {
  const stream = new RandomStream(seed, Purpose.simulate);
  const shares = [0, 1].map((type) => {
    const raw = Array.from({ length: genes }, (_, gene) => (gene % 2 === type ? 10 : 1) * (1 + (gene % 5)));
    const sum = raw.reduce((total, each) => total + each, 0);
    return raw.map((each) => each / sum);
  });
  const dense: number[][] = [];
  const labels: string[] = [];
  const depths: number[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const type = stream.below(2);
    const own = depth * gamma(stream, 4);
    dense.push(shares[type]!.map((share) => poisson(stream, own * share)));
    labels.push(type === 0 ? "even" : "odd");
    depths.push(own);
  }
  return { dense, labels, depths, shares };
}

/** A model that knows the types' shares and the cells' depths, nearly Poisson; `tilt` multiplies its means. */
export function knowing(truth: Truth, base: CountBase, tilt = 1): CountPredictor & CountDenoiser {
  const meanOf = (cell: number, gene: number) =>
    tilt * truth.depths[cell]! * truth.shares[truth.labels[cell] === "even" ? 0 : 1]![gene - FIRST_GENE]!;
  const poissonBase = { ...base, size: new Float64Array(base.size.length).fill(1e7) };
  const predictor = new MeanPredictor(
    {
      name: "truth",
      settings: ["as it is"],
      means: ({ cells, queries }: MaskedCells) => {
        const means = new Float64Array(queries.genes.length);
        cells.forEach((cell, i) => {
          for (let query = queries.offsets[i]!; query < queries.offsets[i + 1]!; query++) {
            means[query] = meanOf(cell, queries.genes[query]!);
          }
        });
        return [means];
      },
    },
    poissonBase,
    { setting: 0, weight: 0, sizeFactor: 1 },
  );
  return {
    name: "truth",
    predict: (masked, answers) => predictor.predict(masked, answers),
    // The weight of depth times share is chosen on training cells, whose depths it is not told: their totals stand for them.
    async denoise(cells, { places, training }) {
      const means: number[] = [];
      denseOf(cells).forEach((row, cell) => {
        const total = row.reduce((sum, count) => sum + count, 0);
        const shares = truth.shares[cells.labels?.[cell] === "even" ? 0 : 1]!;
        for (const gene of cells.panelGenes[cells.panels[cell]!]!) {
          means.push(
            training ? tilt * total * shares[gene - FIRST_GENE]! : 0.9 * meanOf(places[cell]!, gene),
          );
        }
      });
      return Float64Array.from(means);
    },
  };
}
