import { DdscError } from "../../base/errors.js";
import { type CellRows, commonGenes, rowsOf } from "../../comparison/cell_rows.js";
import { correlatedGenes, correlations } from "../../comparison/correlations.js";
import { compareCells } from "../../comparison/index.js";
import { type GeneSums, geneSums } from "../../comparison/marginals.js";
import { FEW_CELLS } from "../../evaluation/defaults.js";
import type { CountCells } from "../../evaluation/index.js";
import type { Denoiser } from "../../model/denoiser.js";
import { knownGenes } from "../../sampling/counts/generate_cells.js";
import { requireBase } from "../../sampling/counts/model.js";
import { generateCells } from "../../sampling/index.js";
import { mapGenes, readCells } from "../../tasks/compared_cells.js";
import type { TaskHooks } from "../../tasks/hooks.js";
import type { ChosenCells, ChosenSource } from "../../tasks/run_cells.js";
import type { GeneColumns, GeneratedPart } from "../report_data.js";
import { evenly, type ReportSizes } from "./sizes.js";
import type { ShownNames } from "./texts.js";

/** How cells are generated and compared. */
export interface GenerateOptions {
  readonly sizes: ReportSizes;
  readonly seed: number;
  /** Column of the cells' types. */
  readonly by: string | undefined;
  readonly allowFractional: boolean;
  readonly names: ShownNames;
  readonly signal: AbortSignal | undefined;
  /** Told how many of the cells are drawn, 0..1. */
  readonly onProgress: (share: number) => void;
}

/** Real and generated cells over the genes that both measure. */
export interface SideBySide {
  readonly real: CellRows;
  readonly generated: CellRows;
}

/** Steps in which a cell is drawn: as many as `ddsc generate` takes by default are not needed for a first look. */
const STEPS = 32;
/** Genes of which a page shows numbers one by one, at most. */
const MOST_GENES = 1000;
/** Genes whose correlations are shown, at most. */
const CORRELATED_GENES = 60;

/** Draws as many cells as there are real ones to compare with, and compares. Throws as `compareCells` and `generateCells`. */
export async function compareGenerated(
  model: Denoiser,
  chosen: ChosenCells & { readonly training: ChosenSource },
  options: GenerateOptions,
  hooks: TaskHooks,
): Promise<{ readonly part: GeneratedPart; readonly cells: SideBySide }> {
  const { sizes, seed, by, allowFractional, signal, names } = options;
  const { source, heldOut, training } = chosen;
  const reading = { seed, allowFractional, by, signal };
  const real = await readCells(
    { source, selection: heldOut },
    mapGenes(source, model.vocabulary, source, hooks),
    { ...reading, number: 0, cells: Math.max(FEW_CELLS, sizes.cells) },
  );
  const cells = real.panels.length;
  if (cells < FEW_CELLS) {
    throw new DdscError(
      "COMPARE_TOO_FEW",
      `${source.name}: ${cells} held-out cells are too few to compare; ${FEW_CELLS} or more are needed`,
      { file: source.name },
    );
  }
  const others = await readCells(training, mapGenes(training.source, model.vocabulary, source, hooks), {
    ...reading,
    number: 1,
    cells: sizes.training,
  });
  const started = performance.now();
  const generated = await drawCells(model, cells, options);
  const seconds = (performance.now() - started) / 1000;
  // With types of the generated cells each type would be compared by itself: that takes as long again for each.
  const { labels: _, ...unlabelled } = generated;
  const signalled = signal === undefined ? {} : { signal };
  const comparison = await compareCells(real, unlabelled, {
    training: others,
    cells: Math.max(FEW_CELLS, cells),
    seed,
    ...signalled,
  });
  const genes = commonGenes([real, generated, others]);
  const rows = { real: rowsOf(real, genes), generated: rowsOf(generated, genes) };
  const sums = { real: geneSums(rows.real), generated: geneSums(rows.generated) };
  const byMean = Array.from(genes.keys()).sort(
    (a, b) => (sums.real.means[b] ?? 0) - (sums.real.means[a] ?? 0) || a - b,
  );
  const shown = evenly(byMean, MOST_GENES);
  const nameOf = (column: number) => names.of(model.vocabulary.token(genes[column] ?? 0) ?? String(column));
  const correlated = correlatedGenes(rows.real, rows.generated, CORRELATED_GENES);
  const part: GeneratedPart = {
    comparison,
    totals: { real: Array.from(rows.real.totals), generated: Array.from(rows.generated.totals) },
    genes: shown.map(nameOf),
    allGenes: genes.length,
    real: columnsOf(sums.real, shown),
    generated: columnsOf(sums.generated, shown),
    correlations: {
      genes: Array.from(correlated, nameOf),
      real: square(await correlations(rows.real, correlated, signal), correlated.length),
      generated: square(await correlations(rows.generated, correlated, signal), correlated.length),
    },
    seconds,
  };
  return { part, cells: rows };
}

/** Generated cells with the types that they were asked to be, where the column of types is one of the model's conditions. */
async function drawCells(
  model: Denoiser,
  cells: number,
  { seed, by, signal, onProgress }: GenerateOptions,
): Promise<CountCells> {
  const known = model.conditions.filter(({ kind }) => kind === "labels");
  const place = known.findIndex(({ name }) => name === by);
  const types = known[place];
  const offsets = [0];
  const genes: Int32Array[] = [];
  const counts: Int32Array[] = [];
  const labels: string[] = [];
  const blocks = generateCells(model, {
    cells,
    seed,
    sampler: { kind: "parallel", steps: STEPS },
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const block of blocks) {
    const start = offsets.at(-1) ?? 0;
    for (const end of block.offsets.subarray(1)) offsets.push(start + end);
    genes.push(block.genes);
    counts.push(block.counts);
    for (const template of block.templates) {
      const label = (template.labels[place] ?? 0) - 1;
      labels.push(types?.kind === "labels" ? (types.labels[label] ?? "") : "");
    }
    onProgress(labels.length / cells);
  }
  return {
    offsets: Int32Array.from(offsets),
    genes: joined(genes),
    counts: joined(counts),
    panels: new Int32Array(cells),
    panelGenes: [knownGenes(model, requireBase(model))],
    labels,
  };
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function columnsOf({ means, variances, zeros }: GeneSums, genes: readonly number[]): GeneColumns {
  const of = (values: Float64Array) => genes.map((gene) => values[gene] ?? 0);
  return { means: of(means), variances: of(variances), zeros: of(zeros) };
}

/** The whole matrix of correlations, from the upper triangle. */
function square(triangle: Float64Array, size: number): number[] {
  const all = new Array<number>(size * size).fill(1);
  let place = 0;
  for (let i = 0; i < size; i++) {
    for (let j = i + 1; j < size; j++) {
      const value = triangle[place++] ?? 0;
      all[i * size + j] = value;
      all[j * size + i] = value;
    }
  }
  return all;
}
