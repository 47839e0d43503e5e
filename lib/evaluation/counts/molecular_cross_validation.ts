import type { Cluster } from "../../cluster/cluster.js";
import { sliceCells } from "../../counts/count_cells.js";
import { RankShare } from "../rank_share.js";
import { baseMeans, type MeanMethod } from "./baselines/mean_method.js";
import { type CountBase, type CountCells, cellCount, measuredGenes } from "./count_cells.js";
import { CP10K } from "./hidden_entries.js";
import { askAll, type MaskedCells } from "./masked_cells.js";
import { type OpenProblemsScores, OpenProblemsTotals } from "./open_problems.js";
import type { CountDenoiser } from "./predictor.js";
import type { ThinnedCells } from "./thinning.js";

/**
 * Weights of depth times share to choose from. The least is above 0: a mean of 0 where a molecule is found would be infinitely bad,
 * and how bad some floor makes it would decide the comparison.
 */
const WEIGHTS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;
/** Factors of the genes' sizes by which a cell's own count is taken into account; infinite: not at all. */
const SIZE_FACTORS = [0.5, 1, 2, 4, 8, 16, Number.POSITIVE_INFINITY] as const;
/** Cells at a time. */
const CHUNK = 64;

/** Some kept cells that are denoised together. */
export interface KeptChunk {
  /** Nothing hidden, every measured gene asked about. */
  readonly masked: MaskedCells;
  readonly cells: CountCells;
  readonly first: number;
  /** Places of the cells among all that were given, held-out or training ones. */
  readonly places: Int32Array;
  readonly training: boolean;
}

/** A method with its settings, as molecular cross-validation takes it. */
export interface McvMethod {
  readonly settings: readonly string[];
  /** Whether the cell's own count of a gene is still to be taken into account: its means come from other genes alone. */
  readonly takesOwnCount: boolean;
  /** Means at the depth of the kept molecules by setting, [measured genes of the chunk] each. */
  means(
    chunk: KeptChunk,
    settings: readonly number[],
    signal?: AbortSignal,
  ): Promise<readonly Float64Array[]>;
}

/** What was chosen for a method. */
export interface McvChoice {
  readonly setting: number;
  readonly sizeFactor: number;
  /** Weight of depth times share. */
  readonly weight: number;
}

/** Sums of a method by cell. */
export interface McvTotals {
  /** Poisson deviance, [cells]. */
  readonly deviance: Float64Array;
  /** Squared errors of log1p(CP10k), [cells]. */
  readonly squares: Float64Array;
  /** Measured genes, [cells]. */
  readonly genes: Float64Array;
  readonly openProblems: OpenProblemsScores;
}

/** A baseline's means for molecular cross-validation. */
export function meanMethod(method: MeanMethod): McvMethod {
  return {
    settings: method.settings,
    takesOwnCount: true,
    means: async ({ masked }, settings) => method.means(masked, settings),
  };
}

/** No denoising: the kept molecules. */
export const noDenoising: McvMethod = {
  settings: ["as it is"],
  takesOwnCount: false,
  means: async ({ masked }, settings) => {
    const counts = keptCounts(masked);
    return settings.map(() => counts);
  },
};

/** Each gene's mean count over the training cells. */
export function geneMeans(base: CountBase): McvMethod {
  return {
    settings: ["as it is"],
    takesOwnCount: false,
    means: async ({ masked }, settings) => {
      const means = Float64Array.from(
        masked.queries.genes,
        (gene) => (base.share[gene] as number) * base.meanDepth,
      );
      return settings.map(() => means);
    },
  };
}

/** A model. */
export function denoiserMethod(denoiser: CountDenoiser): McvMethod {
  return {
    settings: ["as it is"],
    takesOwnCount: false,
    means: async ({ cells, places, training }, settings, signal) => {
      const means = await denoiser.denoise(cells, { places, training }, signal);
      return settings.map(() => means);
    },
  };
}

/** How methods are run over cells. */
export interface McvOptions {
  readonly pause: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** The ranks that share the cells; all have the same result. Default this process alone. */
  readonly cluster?: Cluster | undefined;
}

/** Poisson deviance of one observation: 2 (x log(x / m) - x + m), x the molecules observed and m their expectation. */
export function poissonDeviance(observed: number, expected: number): number {
  const log = observed === 0 ? 0 : observed * Math.log(observed / expected);
  return 2 * (log - observed + expected);
}

/**
 * Chooses setting, size factor and weight by the Poisson deviance of thinned training cells.
 *
 * @param places of these cells among all training cells
 */
export async function chooseByMcv(
  method: McvMethod,
  cells: ThinnedCells,
  places: Int32Array,
  base: CountBase,
  thin: number,
  options: McvOptions,
): Promise<McvChoice> {
  const factors = method.takesOwnCount ? SIZE_FACTORS : [Number.POSITIVE_INFINITY];
  const every = method.settings.map((_, setting) => setting);
  const choices = every.flatMap((setting) =>
    factors.flatMap((sizeFactor) => WEIGHTS.map((weight) => ({ setting, sizeFactor, weight }))),
  );
  const share = new RankShare(places.length, options.cluster);
  /** Deviance by cell and choice, [cells x choices]. */
  const deviance = new Float64Array(places.length * choices.length);
  for (const chunk of keptChunks(cells.kept, base, share, places)) {
    const { offsets } = chunk.masked.queries;
    const found = await method.means(chunk, every, options.signal);
    const shares = baseMeans(chunk.masked, base);
    const kept = keptCounts(chunk.masked);
    const test = testCounts(cells.test, chunk);
    let place = 0;
    for (const setting of every) {
      for (const sizeFactor of factors) {
        const means = withOwnCounts(found[setting] as Float64Array, chunk.masked, kept, base, sizeFactor);
        for (let i = 0; i + 1 < offsets.length; i++) {
          const at = (chunk.first + i) * choices.length + place;
          const cell = { from: offsets[i] as number, to: offsets[i + 1] as number };
          addDeviances(deviance.subarray(at, at + WEIGHTS.length), means, shares, test, cell, thin);
        }
        place += WEIGHTS.length;
      }
    }
    await options.pause();
  }
  await share.exchange(deviance, (place) => Math.floor(place / choices.length));
  const sums = new Float64Array(choices.length);
  deviance.forEach((value, i) => {
    const choice = i % choices.length;
    sums[choice] = (sums[choice] as number) + value;
  });
  return choices[sums.indexOf(Math.min(...sums))] as McvChoice;
}

/** Adds the deviance of a cell's genes at each weight. The sum over what is expected is linear in the weight; logarithms are for molecules alone. */
function addDeviances(
  sums: Float64Array,
  means: Float64Array,
  shares: Float64Array,
  test: Int32Array,
  { from, to }: { readonly from: number; readonly to: number },
  thin: number,
): void {
  const scale = thin / (1 - thin);
  let sumMeans = 0;
  let sumShares = 0;
  for (let i = from; i < to; i++) {
    sumMeans += means[i] as number;
    sumShares += shares[i] as number;
    const observed = test[i] as number;
    if (observed === 0) continue;
    for (let w = 0; w < WEIGHTS.length; w++) {
      const weight = WEIGHTS[w] as number;
      const expected = scale * ((1 - weight) * (means[i] as number) + weight * (shares[i] as number));
      sums[w] = (sums[w] as number) + 2 * observed * (Math.log(observed / expected) - 1);
    }
  }
  for (let w = 0; w < WEIGHTS.length; w++) {
    const weight = WEIGHTS[w] as number;
    const expected = 2 * scale * ((1 - weight) * sumMeans + weight * sumShares);
    sums[w] = (sums[w] as number) + expected;
  }
}

/** Runs methods with their choices over thinned cells, a chunk at a time. */
export async function crossValidate<Name extends string>(
  methods: ReadonlyMap<Name, { readonly method: McvMethod; readonly choice: McvChoice }>,
  cells: ThinnedCells,
  base: CountBase,
  thin: number,
  options: McvOptions,
): Promise<Map<Name, McvTotals>> {
  const count = cellCount(cells.kept);
  const share = new RankShare(count, options.cluster);
  const genes = Float64Array.from({ length: count }, (_, cell) => measuredGenes(cells.kept, cell).length);
  const sums = new Map(
    [...methods.keys()].map((name) => [
      name,
      {
        deviance: new Float64Array(count),
        squares: new Float64Array(count),
        openProblems: new OpenProblemsTotals(count),
      },
    ]),
  );
  for (const chunk of keptChunks(cells.kept, base, share)) {
    const shares = baseMeans(chunk.masked, base);
    const kept = keptCounts(chunk.masked);
    const test = testCounts(cells.test, chunk);
    for (const [name, { method, choice }] of methods) {
      const [found] = await method.means(chunk, [choice.setting], options.signal);
      const means = withOwnCounts(found as Float64Array, chunk.masked, kept, base, choice.sizeFactor);
      const mixed = means.map(
        (mean, i) => (1 - choice.weight) * mean + choice.weight * (shares[i] as number),
      );
      const totals = sums.get(name) as {
        deviance: Float64Array;
        squares: Float64Array;
        openProblems: OpenProblemsTotals;
      };
      const { offsets } = chunk.masked.queries;
      for (let i = 0; i + 1 < offsets.length; i++) {
        const from = offsets[i] as number;
        const to = offsets[i + 1] as number;
        const cell = chunk.first + i;
        totals.deviance[cell] = cellDeviance(mixed, test, from, to, thin);
        totals.squares[cell] = cellSquares(mixed, test, from, to);
        totals.openProblems.add(
          cell,
          test.subarray(from, to),
          means.subarray(from, to),
          chunk.masked.visibleTotal[i] as number,
        );
      }
      await options.pause();
    }
  }
  for (const { deviance, squares, openProblems } of sums.values()) {
    await share.exchange(deviance);
    await share.exchange(squares);
    await openProblems.exchange(share);
  }
  return new Map(
    [...sums].map(([name, { deviance, squares, openProblems }]) => [
      name,
      { deviance, squares, genes, openProblems: openProblems.scores() },
    ]),
  );
}

function cellDeviance(means: Float64Array, test: Int32Array, from: number, to: number, thin: number): number {
  const scale = thin / (1 - thin);
  let sum = 0;
  for (let i = from; i < to; i++) sum += poissonDeviance(test[i] as number, scale * (means[i] as number));
  return sum;
}

function cellSquares(means: Float64Array, test: Int32Array, from: number, to: number): number {
  let sumMeans = 0;
  let sumTest = 0;
  for (let i = from; i < to; i++) {
    sumMeans += means[i] as number;
    sumTest += test[i] as number;
  }
  const meanScale = CP10K / (sumMeans || 1);
  const testScale = CP10K / (sumTest || 1);
  let sum = 0;
  for (let i = from; i < to; i++) {
    const actual = test[i] === 0 ? 0 : Math.log1p((test[i] as number) * testScale);
    sum += (Math.log1p((means[i] as number) * meanScale) - actual) ** 2;
  }
  return sum;
}

/**
 * Means m that come from other genes, and the cell's own count x: the Gamma posterior's mean m (r + x) / (r + m), r the gene's size
 * times a factor; m itself, not below 0, for an infinite factor.
 */
function withOwnCounts(
  means: Float64Array,
  masked: MaskedCells,
  kept: Float64Array,
  base: CountBase,
  sizeFactor: number,
): Float64Array {
  if (sizeFactor === Number.POSITIVE_INFINITY) return means.map((mean) => Math.max(0, mean));
  const { genes } = masked.queries;
  return means.map((raw, i) => {
    const mean = Math.max(0, raw);
    const size = sizeFactor * (base.size[genes[i] as number] as number);
    return (mean * (size + (kept[i] as number))) / (size + mean);
  });
}

/** This rank's cells, some at a time. */
function* keptChunks(
  kept: CountCells,
  base: CountBase,
  share: RankShare,
  training?: Int32Array,
): Generator<KeptChunk> {
  for (let { first } = share; first < share.end; first += CHUNK) {
    const end = Math.min(share.end, first + CHUNK);
    yield {
      masked: askAll(kept, first, end, base),
      cells: sliceCells(kept, first, end),
      first,
      places: training?.subarray(first, end) ?? Int32Array.from({ length: end - first }, (_, i) => first + i),
      training: training !== undefined,
    };
  }
}

function keptCounts({ queries, visibleOffsets, visibleGenes, visibleCounts }: MaskedCells): Float64Array {
  const counts = new Float64Array(queries.genes.length);
  for (let cell = 0; cell + 1 < visibleOffsets.length; cell++) {
    const places = { from: queries.offsets[cell] as number, to: queries.offsets[cell + 1] as number };
    let place = places.from;
    for (let i = visibleOffsets[cell] as number; i < (visibleOffsets[cell + 1] as number); i++) {
      while (place < places.to && (queries.genes[place] as number) < (visibleGenes[i] as number)) place++;
      counts[place] = visibleCounts[i] as number;
    }
  }
  return counts;
}

function testCounts(test: CountCells, { masked, first }: KeptChunk): Int32Array {
  const { offsets, genes } = masked.queries;
  const counts = new Int32Array(genes.length);
  for (let cell = 0; cell < masked.cells.length; cell++) {
    let place = offsets[cell] as number;
    const end = test.offsets[first + cell + 1] as number;
    for (let i = test.offsets[first + cell] as number; i < end; i++) {
      while ((genes[place] as number) < (test.genes[i] as number)) place++;
      counts[place] = test.counts[i] as number;
    }
  }
  return counts;
}
