import { negativeBinomial } from "../../base/count_draws.js";
import { checkNumber, checkSeed, checkWhole } from "../../base/errors.js";
import { Purpose, RandomStream } from "../../base/random.js";
import type { Gene } from "./cells.js";

/** Streams of the fixed parts (genes, types); a cell's own stream has its row as `cell` and step 0. */
const STEP = { cell: 0, genes: 1, types: 2 } as const;

const GENE_MEAN_SPREAD = 1.0;
const TYPE_SPREAD = 0.5;
const LIBRARY_SPREAD = 0.35;
const LOADING = 1.6;
const GENES_PER_PROGRAMME = 0.12;
const PROGRAMMES_PER_TYPE = 0.4;
/** Steepness of the dropout curve in log count. */
const DROPOUT_SLOPE = 1.5;

/** Options of `simulateCells`. */
export interface SimulateOptions {
  /** Number of cells, 1 to 10^7. Default 2,000. */
  readonly cells?: number;
  /** Number of genes, 8 to 10^6. Default 400. */
  readonly genes?: number;
  /** Number of cell types, 1 to 1,000. Default 6. */
  readonly types?: number;
  /** Number of gene programmes, 1 to 1,000. Default 12. */
  readonly programmes?: number;
  /** Median counts a cell before dropout, 1 to 10^7. Default 4 a gene. */
  readonly librarySize?: number;
  /** Negative-binomial dispersion: variance = mean + dispersion mean^2; 0 is Poisson. Default 0.15. */
  readonly dispersion?: number;
  /** Mean count at which half the cells lose a gene to dropout. Default 0.3; 0 turns dropout off. */
  readonly dropoutMidpoint?: number;
  /** Whole number below 2^53. Default 0. */
  readonly seed?: number;
}

/** What the simulator knows and real data do not tell. */
export interface SimulationTruth {
  /** Type of each cell, [cells]. */
  readonly types: Int32Array;
  /** Activity of each programme in each cell, [cells * programmes], 0 = silent. */
  readonly activity: Float32Array;
  /** Loading (log fold change at activity 1) of each programme on each gene, [programmes * genes]. */
  readonly loadings: Float32Array;
  /** Expected count before dropout, [cells * genes]. */
  readonly expected: Float32Array;
  readonly programmes: number;
}

/** Options of a simulation, checked and with defaults. */
export interface Study {
  readonly cells: number;
  readonly genes: number;
  readonly types: number;
  readonly programmes: number;
  readonly librarySize: number;
  readonly dispersion: number;
  readonly dropoutMidpoint: number;
  readonly seed: number;
}

/** Throws `ARGUMENT_RANGE`. */
export function checkedStudy(options: SimulateOptions): Study {
  const genes = checkWhole("genes", options.genes ?? 400, 8, 1e6);
  return {
    cells: checkWhole("cells", options.cells ?? 2000, 1, 1e7),
    genes,
    types: checkWhole("types", options.types ?? 6, 1, 1000),
    programmes: checkWhole("programmes", options.programmes ?? 12, 1, 1000),
    librarySize: checkNumber("librarySize", options.librarySize ?? 4 * genes, { min: 1, max: 1e7 }),
    dispersion: checkNumber("dispersion", options.dispersion ?? 0.15, { min: 0, max: 100 }),
    dropoutMidpoint: checkNumber("dropoutMidpoint", options.dropoutMidpoint ?? 0.3, { min: 0, max: 1e6 }),
    seed: checkSeed(options.seed ?? 0),
  };
}

/** The random numbers of one cell. */
export function cellStream(study: Study, cell: number): RandomStream {
  return new RandomStream(study.seed, Purpose.simulate, STEP.cell, cell);
}

/** Name of the i-th of `count` things, such as cell-042. */
export function label(prefix: string, i: number, count: number): string {
  return prefix + String(i).padStart(String(count - 1).length, "0");
}

/** The genes of a study. */
export function simulatedGenes({ genes }: Study): Gene[] {
  return Array.from({ length: genes }, (_, i) => ({ id: label("GENE", i, genes), aliases: [] }));
}

/** What all cells of a study share. */
export interface Parts {
  /** Log base level of each gene, [genes]. */
  readonly base: Float64Array;
  /** Log shift of each gene in each type, [types * genes]. */
  readonly shifts: Float64Array;
  readonly loadings: Float32Array;
  /** 1 where a programme is on in a type, [types * programmes]. */
  readonly on: Uint8Array;
}

/** Draws genes and types. */
export function drawParts(study: Study): Parts {
  const { genes, types, programmes, seed } = study;
  const base = new Float64Array(genes);
  const loadings = new Float32Array(programmes * genes);
  for (let gene = 0; gene < genes; gene++) {
    const stream = new RandomStream(seed, Purpose.simulate, STEP.genes, gene);
    base[gene] = GENE_MEAN_SPREAD * stream.normal();
    for (let programme = 0; programme < programmes; programme++) {
      const member = stream.uniform() < GENES_PER_PROGRAMME;
      // Most genes of a programme rise with it, some fall.
      const direction = stream.uniform() < 0.75 ? 1 : -1;
      const strength = LOADING * (0.5 + stream.uniform());
      if (member) loadings[programme * genes + gene] = direction * strength;
    }
  }
  const shifts = new Float64Array(types * genes);
  const on = new Uint8Array(types * programmes);
  for (let type = 0; type < types; type++) {
    const stream = new RandomStream(seed, Purpose.simulate, STEP.types, type);
    for (let programme = 0; programme < programmes; programme++) {
      on[type * programmes + programme] = stream.uniform() < PROGRAMMES_PER_TYPE ? 1 : 0;
    }
    for (let gene = 0; gene < genes; gene++) shifts[type * genes + gene] = TYPE_SPREAD * stream.normal();
  }
  return { base, shifts, loadings, on };
}

/** Draws type and activities of a cell into its place in `truth`, whose activities are 0 before; returns the library size. */
export function drawCell(
  study: Study,
  parts: Parts,
  truth: SimulationTruth,
  cell: number,
  stream: RandomStream,
): number {
  const { programmes, types, librarySize } = study;
  const type = stream.below(types);
  truth.types[cell] = type;
  const activity = truth.activity.subarray(cell * programmes, (cell + 1) * programmes);
  for (let programme = 0; programme < programmes; programme++) {
    const level = stream.uniform();
    const accident = stream.uniform() < 0.05;
    if (parts.on[type * programmes + programme] === 1 || accident) activity[programme] = 0.4 + 0.6 * level;
  }
  return librarySize * Math.exp(LIBRARY_SPREAD * stream.normal());
}

/** Fills the expected counts of a cell that was drawn; their sum is its library size. */
export function fillExpected(
  { genes, programmes }: Study,
  parts: Parts,
  truth: SimulationTruth,
  cell: number,
  library: number,
): void {
  const type = truth.types[cell] ?? 0;
  const activity = truth.activity.subarray(cell * programmes, (cell + 1) * programmes);
  const expected = truth.expected.subarray(cell * genes, (cell + 1) * genes);
  let total = 0;
  for (let gene = 0; gene < genes; gene++) {
    let level = (parts.base[gene] ?? 0) + (parts.shifts[type * genes + gene] ?? 0);
    for (let programme = 0; programme < programmes; programme++) {
      level += (activity[programme] ?? 0) * (parts.loadings[programme * genes + gene] ?? 0);
    }
    const mean = Math.exp(level);
    expected[gene] = mean;
    total += mean;
  }
  for (let gene = 0; gene < genes; gene++) expected[gene] = ((expected[gene] ?? 0) / total) * library;
}

/** Draws the counts of a cell from its expected ones; columns ascending, zeros left out. */
export function drawCounts(
  study: Study,
  expected: Float32Array,
  stream: RandomStream,
): { columns: Int32Array; counts: Float32Array } {
  const columns: number[] = [];
  const counts: number[] = [];
  for (const [gene, mean] of expected.entries()) {
    const count = negativeBinomial(stream, mean, study.dispersion);
    const lost = stream.uniform() < dropoutChance(mean, study.dropoutMidpoint);
    if (count === 0 || lost) continue;
    columns.push(gene);
    counts.push(count);
  }
  return { columns: Int32Array.from(columns), counts: Float32Array.from(counts) };
}

/** Logistic in log mean: 1/2 at the midpoint. */
function dropoutChance(mean: number, midpoint: number): number {
  return midpoint === 0 ? 0 : 1 / (1 + (mean / midpoint) ** DROPOUT_SLOPE);
}
