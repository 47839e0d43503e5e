import { Purpose, RandomStream } from "../lib/base/random.js";

/** Cells x genes, row-major. */
export interface Dense {
  readonly cells: number;
  readonly genes: number;
  readonly values: Float64Array;
}

/** Cells of two types, and what is known of their genes. */
export interface NullStudy {
  readonly counts: Dense;
  /** 0 or 1, [cells]. */
  readonly types: Int32Array;
  /** Whether the types differ in a gene, [genes]. */
  readonly differs: Uint8Array;
}

/**
 * Two types of cells: half of the genes differ between them (log fold change normal, deviation 0.7, its mean such that the types
 * have equal totals: else genes that do not differ would, once values are scaled to equal sums), half do not. A third of the latter vary
 * together along a programme that has nothing to do with types. Depth is log-normal, counts negative binomial.
 */
export function nullStudy(cells: number, genes: number, seed: number): NullStudy {
  const stream = (name: number, cell: number) => new RandomStream(seed, Purpose.simulate, name, cell);
  const values = new Float64Array(cells * genes);
  const types = new Int32Array(cells);
  const differs = Uint8Array.from({ length: genes }, (_, gene) => (gene % 2 === 0 ? 1 : 0));
  const ofGene = Array.from({ length: genes }, (_, gene) => {
    const draws = stream(1, gene);
    const base = Math.exp(-0.5 + draws.normal());
    return { base, fold: 0.7 * draws.normal(), loading: gene % 6 === 1 ? 0.8 * draws.normal() : 0 };
  });
  const excess = (mean: number) =>
    ofGene.reduce(
      (sum, { base, fold }, gene) => sum + (differs[gene] ?? 0) * base * Math.sinh((fold - mean) / 2),
      0,
    );
  const meanFold = rootOf(excess, -5, 5);
  for (let cell = 0; cell < cells; cell++) {
    const draws = stream(0, cell);
    const type = draws.uniform() < 0.5 ? 1 : 0;
    const programme = draws.normal();
    const depth = Math.exp(0.4 * draws.normal());
    types[cell] = type;
    for (const [gene, { base, fold, loading }] of ofGene.entries()) {
      const shift = (differs[gene] === 1 ? (fold - meanFold) * (type - 0.5) : 0) + loading * programme;
      // Gamma of shape 4 by four exponentials: variance of counts mean + mean^2 / 4.
      let gamma = 0;
      for (let i = 0; i < 4; i++) gamma -= Math.log(1 - draws.uniform()) / 4;
      values[cell * genes + gene] = poisson(depth * base * Math.exp(shift) * gamma, draws);
    }
  }
  return { counts: { cells, genes, values }, types, differs };
}

/** Where a falling function is 0, by halving. */
function rootOf(falling: (x: number) => number, low: number, high: number): number {
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (falling(middle) > 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function poisson(mean: number, draws: RandomStream): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = draws.uniform(); product > limit; product *= draws.uniform()) count++;
  return count;
}

/** Each gene's counts handed out to the cells anew: nothing depends on anything. */
export function shuffledGenes({ cells, genes, values }: Dense, seed: number): Dense {
  const shuffled = new Float64Array(values.length);
  for (let gene = 0; gene < genes; gene++) {
    const order = new RandomStream(seed, Purpose.split, 3, gene).shuffle(
      Int32Array.from({ length: cells }, (_, i) => i),
    );
    for (let cell = 0; cell < cells; cell++)
      shuffled[cell * genes + gene] = values[(order[cell] ?? 0) * genes + gene] ?? 0;
  }
  return { cells, genes, values: shuffled };
}

/** log1p of values scaled by the mean total over the total of their cell: what tests and correlations are of. */
export function logNormalised({ cells, genes, values }: Dense, totals: Float64Array): Dense {
  const mean = totals.reduce((sum, total) => sum + total, 0) / cells;
  return {
    cells,
    genes,
    values: values.map((value, i) =>
      Math.log1p((value * mean) / Math.max(1, totals[Math.floor(i / genes)] ?? 1)),
    ),
  };
}

/** Sum of each cell's values. */
export function totalsOf({ cells, genes, values }: Dense): Float64Array {
  return Float64Array.from({ length: cells }, (_, cell) =>
    values.subarray(cell * genes, (cell + 1) * genes).reduce((sum, value) => sum + value, 0),
  );
}

/** Two-sided p-value of Wilcoxon's rank-sum test: normal, corrected for ties and continuity. */
export function rankSumTest(one: readonly number[], other: readonly number[]): number {
  const all = [...one.map((value) => ({ value, own: 1 })), ...other.map((value) => ({ value, own: 0 }))];
  all.sort((a, b) => a.value - b.value);
  let ranks = 0;
  let ties = 0;
  for (let first = 0, end = 0; first < all.length; first = end) {
    while (end < all.length && all[end]?.value === all[first]?.value) end++;
    const size = end - first;
    ties += size ** 3 - size;
    for (let i = first; i < end; i++) ranks += (all[i]?.own ?? 0) * ((first + end + 1) / 2);
  }
  const [a, b] = [one.length, other.length];
  const count = a + b;
  const variance = ((a * b) / 12) * (count + 1 - ties / (count * (count - 1)));
  if (!(variance > 0)) return 1;
  const distance = Math.abs(ranks - (a * (count + 1)) / 2);
  return Math.min(1, 2 * upperTail(Math.max(0, distance - 0.5) / Math.sqrt(variance)));
}

/** P(Z > z) of a standard normal Z for z >= 0 (the continued fraction beyond 3, the series below). */
export function upperTail(z: number): number {
  const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
  if (z > 3) {
    let fraction = z;
    for (let k = 60; k > 0; k--) fraction = z + k / fraction;
    return density / fraction;
  }
  let term = z;
  let sum = z;
  for (let k = 1; k < 60; k++) {
    term *= (z * z) / (2 * k + 1);
    sum += term;
  }
  return 0.5 - density * sum;
}

/** Which p-values are called at this false discovery rate (Benjamini and Hochberg). */
export function discoveries(pValues: readonly number[], rate: number): boolean[] {
  const order = [...pValues.keys()].sort((i, j) => (pValues[i] ?? 1) - (pValues[j] ?? 1));
  let called = 0;
  for (const [place, i] of order.entries())
    if ((pValues[i] ?? 1) <= (rate * (place + 1)) / pValues.length) called = place + 1;
  const isCalled = new Array<boolean>(pValues.length).fill(false);
  for (const i of order.slice(0, called)) isCalled[i] = true;
  return isCalled;
}

/** What a test between the types calls at a false discovery rate of 5%. */
export interface Calls {
  /** Of the genes in which the types do not differ, the share that is called. */
  readonly nullsCalled: number;
  /** Of the called genes, the share in which they do not differ; 0 where none is called. */
  readonly falseShare: number;
  /** Of the genes in which they differ, the share that is called. */
  readonly found: number;
}

/** Tests each gene between the types. */
export function callsOf(
  { cells, genes, values }: Dense,
  { types, differs }: Pick<NullStudy, "types" | "differs">,
): Calls {
  const pValues = Array.from({ length: genes }, (_, gene) => {
    const groups: [number[], number[]] = [[], []];
    for (let cell = 0; cell < cells; cell++)
      groups[types[cell] === 1 ? 1 : 0].push(values[cell * genes + gene] ?? 0);
    return rankSumTest(...groups);
  });
  const called = discoveries(pValues, 0.05);
  const count = (isIn: (gene: number) => boolean) => called.filter((is, gene) => is && isIn(gene)).length;
  const nulls = differs.reduce((sum, one) => sum + 1 - one, 0);
  const [wrong, right] = [count((gene) => differs[gene] === 0), count((gene) => differs[gene] === 1)];
  return {
    nullsCalled: wrong / nulls,
    falseShare: wrong + right === 0 ? 0 : wrong / (wrong + right),
    found: right / (genes - nulls),
  };
}

/** Mean of |Pearson's correlation| over all pairs of genes that vary. */
export function meanCorrelation({ cells, genes, values }: Dense): number {
  const columns: Float64Array[] = [];
  for (let gene = 0; gene < genes; gene++) {
    const column = Float64Array.from({ length: cells }, (_, cell) => values[cell * genes + gene] ?? 0);
    const mean = column.reduce((sum, value) => sum + value, 0) / cells;
    const length = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0));
    if (length > 1e-9) columns.push(column.map((value) => (value - mean) / length));
  }
  let sum = 0;
  for (let i = 0; i < columns.length; i++) {
    for (let j = 0; j < i; j++) {
      let dot = 0;
      const [a, b] = [columns[i] ?? new Float64Array(0), columns[j] ?? new Float64Array(0)];
      for (let cell = 0; cell < cells; cell++) dot += (a[cell] ?? 0) * (b[cell] ?? 0);
      sum += Math.abs(dot);
    }
  }
  return sum / Math.max(1, (columns.length * (columns.length - 1)) / 2);
}
