import { checkOptions } from "../base/arguments.js";
import { checkOptionNames, checkWhole, DdscError } from "../base/errors.js";
import { packageVersion } from "../base/version.js";
import type { Condition } from "../conditions/condition.js";
import type { AnnDataStream, StreamedRows } from "../data/anndata/write.js";
import { refuseOwnFiles } from "../data/report/own_files.js";
import { partToWrite, pathOf, writePart } from "../data/shards/part.js";
import { checkShard, type Shard } from "../data/shards/shard.js";
import type { Column } from "../data/sources/frame.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { modelDigest } from "../model/digest.js";
import { checkFileTask, Opened } from "../model/opened.js";
import { knownGenes } from "../sampling/counts/generate_cells.js";
import { requireBase } from "../sampling/counts/model.js";
import { WHOLE_CELL_GUIDANCE } from "../sampling/counts/options.js";
import { findGenes } from "../sampling/find_genes.js";
import {
  type CellTemplate,
  type GenerateCellsOptions,
  type GeneratedCellBlock,
  generateCells,
} from "../sampling/index.js";
import { cellsLike } from "./cells_like.js";

/** Options of `generateFile`. */
export interface GenerateFileOptions extends Omit<GenerateCellsOptions, "cells" | "like" | "firstCell"> {
  /** A model of counts, or the folder of one or of a run (its best checkpoint). */
  readonly model: string | Denoiser;
  /** File NAME.h5ad, or folder NAME.zarr, to write. */
  readonly out: string;
  /** Number of cells; default 100, or as many as `like` has. */
  readonly cells?: number;
  /** Makes a share of these cells alone: see `FileJobOptions.shard`. The whole of all parts has the same bits as without. */
  readonly shard?: Shard;
  /**
   * Cells, or what `openCells` opens: the generated ones have their conditions, total counts and measured genes, each those of one
   * of them. Not together with `conditions`, `depth` and `genes`.
   */
  readonly like?: string | readonly string[] | CellSource;
  /** What uns/ddsc says the model is; default the folder, where one was given. */
  readonly modelName?: string;
  /** Whether what is at `out` is replaced; default false. */
  readonly overwrite?: boolean;
  /** Told how many cells are done, and of how many. */
  readonly onProgress?: (cells: number, of: number) => void;
}

/** What `generateFile` wrote. */
export interface Generation {
  /** What was written, of a shard its part. */
  readonly out: string;
  /** Of a shard: whether its part was there already, and nothing was done. */
  readonly kept: boolean;
  readonly cells: number;
  readonly genes: number;
  /** Entries that are 0, 0..1; NaN where nothing was done. */
  readonly zeroFraction: number;
  /** Mean total counts of a cell; NaN where nothing was done. */
  readonly meanTotal: number;
}

const DEFAULT_CELLS = 100;

const OPTION_NAMES: Readonly<Record<keyof GenerateFileOptions, true>> = {
  model: true,
  out: true,
  cells: true,
  shard: true,
  like: true,
  modelName: true,
  overwrite: true,
  onProgress: true,
  conditions: true,
  depth: true,
  genes: true,
  batch: true,
  sampler: true,
  guidance: true,
  evidenceGuidance: true,
  seed: true,
  weights: true,
  maxRows: true,
  signal: true,
};

/**
 * Generates whole cells and writes them as AnnData: X are integer counts, compressed rows; obs has the conditions that the model was
 * told and `depth`, the whole total that it was told; uns/ddsc says how they were made. See `generateCells`. Memory does not grow with the
 * number of cells but for obs. What is written appears whole or not at all.
 *
 * Throws as `generateCells` and `cellsLike`, `FILE_EXISTS`, `FILE_WRITE`, `ARGUMENT_CHOICE` (an `out` of another format), `ARGUMENT_CONFLICT`; rejects with the signal's reason when aborted.
 */
export async function generateFile(options: GenerateFileOptions): Promise<Generation> {
  checkOptionNames("options of generateFile", options, OPTION_NAMES);
  checkOptions(options, {
    modelName: "text",
    overwrite: "switch",
    onProgress: "function",
    signal: "signal",
    conditions: "object",
  });
  const { like } = options;
  for (const name of ["conditions", "depth", "genes"] as const) {
    if (like === undefined || options[name] === undefined) continue;
    throw new DdscError(
      "ARGUMENT_CONFLICT",
      `like says what cells are to be, and so does ${name}; give one of them`,
      {
        argument: name,
      },
    );
  }
  const { shard } = options;
  await checkFileTask(shard === undefined ? options : { ...options, overwrite: true });
  using opened = new Opened();
  const source = like === undefined ? undefined : await opened.cells("like", like);
  if (source !== undefined) await refuseOwnFiles(source, pathOf(options.out, shard));
  return await write(await opened.model(options.model), source, options);
}

async function write(
  model: Denoiser,
  source: CellSource | undefined,
  options: GenerateFileOptions,
): Promise<Generation> {
  const base = requireBase(model);
  const { seed = 0, signal, onProgress, overwrite = false, out, shard: given, like: _, ...asked } = options;
  const shard = given === undefined ? undefined : checkShard(given);
  const likeCells = source === undefined ? undefined : await cellsLike(source, model, signal);
  const all = checkWhole("cells", options.cells ?? likeCells?.cells ?? DEFAULT_CELLS, 1, 2 ** 31 - 1);
  const genes =
    likeCells?.genes ??
    (options.genes === undefined ? knownGenes(model, base) : findGenes(model, options.genes).sort());
  const uns = {
    ddsc: {
      package: packageVersion(),
      command: "generate",
      model: options.modelName ?? (typeof options.model === "string" ? options.model : null),
      seed,
      like: source?.name ?? null,
    },
  };
  const settings = {
    ...uns,
    asked: JSON.stringify([
      options.sampler,
      options.guidance,
      options.evidenceGuidance ?? WHOLE_CELL_GUIDANCE,
      options.conditions,
      options.depth,
      [...genes],
    ]),
  };
  const written = await partToWrite({
    out,
    shard,
    overwrite,
    cells: all,
    digest: () => modelDigest(model),
    source,
    settings,
  });
  const { first: firstCell, end } = written;
  const cells = end - firstCell;
  const columnOf = new Map(Array.from(genes, (gene, column) => [gene, column]));
  const tally = { entries: 0, total: 0 };
  /** What the cells were told that are not written yet. */
  const told: CellTemplate[] = [];
  let made = 0;
  const blocks = generateCells(model, {
    ...asked,
    cells,
    firstCell,
    seed,
    ...(signal === undefined ? {} : { signal }),
    ...(likeCells === undefined ? {} : { like: likeCells.templates(all, seed) }),
  });
  async function* rows(): AsyncGenerator<StreamedRows> {
    for await (const block of blocks) {
      tally.entries += block.counts.length;
      tally.total += block.counts.reduce((sum, count) => sum + count, 0);
      told.push(...block.templates);
      made += block.templates.length;
      yield { X: { offsets: block.offsets, columns: columnsOf(block, columnOf), values: block.counts } };
      onProgress?.(made, cells);
    }
  }
  const contents: AnnDataStream = {
    obs: {
      length: cells,
      indexName: "_index",
      columns: obsColumns(model.conditions, []),
      rows: (first, end) => ({
        index: generatedNames(firstCell + first, firstCell + end),
        columns: obsColumns(model.conditions, told.splice(0, end - first)),
      }),
    },
    var: {
      index: Array.from(genes, (gene) => model.vocabulary.token(gene) ?? String(gene)),
      indexName: "_index",
      columns: new Map(),
    },
    matrices: { X: { kind: "csr", type: "int32" } },
    rows: rows(),
    uns,
  };
  await writePart(written, contents, overwrite);
  return {
    out: written.out,
    kept: written.isThere,
    cells,
    genes: genes.length,
    zeroFraction: written.isThere ? Number.NaN : 1 - tally.entries / (cells * genes.length),
    meanTotal: written.isThere ? Number.NaN : tally.total / cells,
  };
}

function columnsOf({ genes }: GeneratedCellBlock, columnOf: ReadonlyMap<number, number>): Int32Array {
  return genes.map((gene) => columnOf.get(gene) ?? 0);
}

/** Names of the cells from `first` up to `end`. */
export function generatedNames(first: number, end: number): string[] {
  return Array.from({ length: end - first }, (_, i) => `generated-${first + i}`);
}

/** A condition may have the name, too. */
function depthName(conditions: readonly Condition[]): string {
  return conditions.some(({ name }) => name === "depth") ? "ddsc_depth" : "depth";
}

/** Columns of obs that say what some cells were told. */
function obsColumns(
  conditions: readonly Condition[],
  templates: readonly CellTemplate[],
): ReadonlyMap<string, Column> {
  const columns = new Map<string, Column>();
  let label = 0;
  let number = 0;
  for (const condition of conditions) {
    if (condition.kind === "labels") {
      const place = label++;
      const codes = Int32Array.from(templates, ({ labels }) => (labels[place] ?? 0) - 1);
      const categories = { kind: "strings", values: condition.labels } as const;
      columns.set(condition.name, { kind: "categories", codes, categories, ordered: false });
      continue;
    }
    const place = number++;
    const { mean, deviation, scale } = condition;
    const values = Float64Array.from(templates, ({ numbers }) => {
      const value = (numbers[place] ?? Number.NaN) * deviation + mean;
      return scale === "log" ? Math.expm1(value) : value;
    });
    columns.set(condition.name, { kind: "numbers", values });
  }
  const totals = Int32Array.from(templates, ({ total }) => total);
  return columns.set(depthName(conditions), { kind: "numbers", values: totals });
}
