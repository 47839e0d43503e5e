import { checkOptions } from "../base/arguments.js";
import {
  checkChoice,
  checkNumber,
  checkOptionNames,
  checkSeed,
  DdscError,
  wrongType,
} from "../base/errors.js";
import { packageVersion } from "../base/version.js";
import { FOLDS } from "../counts/folds.js";
import type { AnnDataStream, StreamedRows } from "../data/anndata/write.js";
import type { StreamedMatrix } from "../data/anndata/write_matrices.js";
import { writePart } from "../data/shards/part.js";
import type { CellBlock } from "../data/sources/cells.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { findGenes } from "../sampling/find_genes.js";
import { requireCounts } from "./counted_cells.js";
import { denoiseCells } from "./denoise_cells.js";
import { FILE_JOB_NAMES, type FileJobOptions, withFileJob } from "./file_job.js";
import {
  countRows,
  IMPUTED_LAYERS,
  type ImputedLayer,
  isOfCounts,
  type LayerOptions,
  layerRows,
} from "./layers.js";

/** Options of `imputeFile`. */
export interface ImputeFileOptions extends FileJobOptions {
  /** Which layers to write; default "denoised" and "p_expressed". */
  readonly layers?: readonly ImputedLayer[];
  /** Names or vocabulary ids of the genes to predict; default all that model and data have. */
  readonly genes?: readonly (string | number)[];
  /** Values of `denoised` and `p_expressed` below it are not stored; default 0.01, 0 keeps all. */
  readonly least?: number;
  /** Whether X becomes the denoised counts, and the counts go to layers/counts; default false. */
  readonly replaceX?: boolean;
  /** What the model is told of the cells' conditions: "own" (default), what the columns of the data say, or "none". */
  readonly conditions?: "own" | "none";
  /** Of the draws of `replicate`; default 0. */
  readonly seed?: number;
}

/** What `imputeFile` wrote. */
export interface Imputation {
  /** What was written, of a shard its part. */
  readonly out: string;
  /** Of a shard: whether its part was there already, and nothing was done. */
  readonly kept: boolean;
  readonly cells: number;
  /** Genes of the file, and those that were predicted. */
  readonly genes: number;
  readonly predictedGenes: number;
  /** Genes that the model does not know. */
  readonly unknownGenes: number;
  /** Layers that were written; of `replaceX`, X instead of "denoised". */
  readonly layers: readonly string[];
  /** Cells without a count of a gene that the model knows (0 where nothing was done): theirs are the model's expectations of a cell of which nothing was found. */
  readonly emptyCells: number;
  /** What a reader should know. */
  readonly notes: readonly string[];
}

/** Default of `least`. */
const LEAST = 0.01;

const OPTION_NAMES: Readonly<Record<keyof ImputeFileOptions, true>> = {
  ...FILE_JOB_NAMES,
  layers: true,
  genes: true,
  least: true,
  replaceX: true,
  conditions: true,
  seed: true,
};

/**
 * Writes cells with their denoised counts as AnnData: X and the tables as they are, and as sparse layers of predicted genes
 *
 * - `denoised`: mean of the posterior rate at the cell's own depth, molecules; of genes without a prediction their count;
 * - `p_expressed`: chance that a replicate count of the gene, in a cell of the same depth, is above 0;
 * - `low`, `high`: 5th and 95th percentile of a replicate count;
 * - `replicate`: a replicate count, drawn: a sample of the posterior predictive distribution, one for each `seed`.
 *
 * See `denoiseCells`. The column `ddsc_imputed` of var says which genes were predicted; uns/ddsc how. Memory does not grow with the
 * number of cells. What is written appears whole or not at all.
 *
 * Throws `MODEL_CONFIG` for a model of ranks, `MODEL_BASE`, `GENE_UNKNOWN` for a gene that model or data lack, `GENE_DUPLICATE`,
 * `FILE_EXISTS`, `FILE_WRITE`, `DATA_*`, `ARGUMENT_*`; rejects with the signal's reason when aborted.
 */
export async function imputeFile(options: ImputeFileOptions): Promise<Imputation> {
  checkOptionNames("options of imputeFile", options, OPTION_NAMES);
  checkOptions(options, { replaceX: "switch" });
  const { replaceX = false, conditions = "own", allowFractional = false, signal, onProgress } = options;
  const { overwrite = false } = options;
  const layers = checkLayers(options.layers ?? ["denoised", "p_expressed"]);
  const least = checkNumber("least", options.least ?? LEAST, { min: 0, max: 1 });
  checkChoice("conditions", conditions, ["own", "none"]);
  const seed = checkSeed(options.seed ?? 0);
  return withFileJob(options, async ({ source, model, part, rows, cellCount, tables, names }) => {
    requireCounts(model);
    const { isPredicted, isKnown } = predictedColumns(source, model, options.genes);
    const own = replaceX ? layers.filter((layer) => layer !== "denoised") : layers;
    const matrices: Record<string, StreamedMatrix> = { X: { kind: "csr", type: "float32" } };
    if (replaceX) matrices["layers/counts"] = { kind: "csr", type: "float32" };
    for (const layer of own) {
      matrices[`layers/${layer}`] = { kind: "csr", type: isOfCounts(layer) ? "int32" : "float32" };
    }
    const uns = {
      ddsc: {
        package: packageVersion(),
        command: "impute",
        ...names,
        layers: own,
        least,
        folds: FOLDS,
        conditions,
        replace_x: replaceX,
        ...(own.includes("replicate") ? { seed } : {}),
      },
    };
    const asLayer: LayerOptions = { least, isPredicted, seed, signal };
    const genes = options.genes?.map(String) ?? [];
    const written = await part({ ...uns, genes });
    const notes: string[] = [];
    let emptyCells = 0;
    async function* made(): AsyncGenerator<StreamedRows> {
      let done = 0;
      const stream = denoiseCells(source, model, {
        ...(rows === undefined ? {} : { selection: { rows } }),
        ...(options.genes === undefined ? {} : { genes: options.genes }),
        ...(options.maxRows === undefined ? {} : { maxRows: options.maxRows }),
        ...(signal === undefined ? {} : { signal }),
        conditions,
        allowFractional,
        onNote: (note) => notes.push(`${source.name}: ${note}`),
      });
      for await (const cells of stream) {
        emptyCells += emptyIn(cells.block, isKnown);
        const counts = countRows(cells);
        const given: Record<string, StreamedRows[string]> = {
          X: replaceX ? await layerRows("denoised", cells, asLayer) : counts,
        };
        if (replaceX) given["layers/counts"] = counts;
        for (const layer of own) given[`layers/${layer}`] = await layerRows(layer, cells, asLayer);
        yield given;
        done += cells.block.rows.length;
        onProgress?.(done, cellCount);
      }
    }
    const contents: AnnDataStream = {
      obs: tables.obs,
      var: {
        ...tables.var,
        columns: new Map([
          ...tables.var.columns,
          ["ddsc_imputed", { kind: "booleans", values: isPredicted }],
        ]),
      },
      matrices,
      rows: made(),
      uns,
    };
    await writePart(written, contents, overwrite);
    return {
      out: written.out,
      kept: written.isThere,
      cells: cellCount,
      genes: source.genes.length,
      predictedGenes: isPredicted.reduce((sum, one) => sum + one, 0),
      unknownGenes: isKnown.reduce((sum, known) => sum + 1 - known, 0),
      layers: replaceX ? ["counts", ...own] : own,
      emptyCells,
      notes,
    };
  });
}

function checkLayers(layers: readonly string[]): readonly ImputedLayer[] {
  if (!Array.isArray(layers)) throw wrongType("layers", layers, `an array of ${IMPUTED_LAYERS.join(", ")}`);
  return [...new Set(layers.map((layer: string) => checkChoice("layers", layer, IMPUTED_LAYERS)))];
}

/** Cells of a block without a count of a gene that the model knows. */
function emptyIn({ offsets, columns }: CellBlock, isKnown: Uint8Array): number {
  let empty = 0;
  for (let cell = 0; cell + 1 < offsets.length; cell++) {
    let entry = offsets[cell] ?? 0;
    const end = offsets[cell + 1] ?? 0;
    while (entry < end && isKnown[columns[entry] ?? 0] === 0) entry++;
    if (entry === end) empty++;
  }
  return empty;
}

/** Columns of a source that are predicted, and those that the model knows: 1 each. */
function predictedColumns(
  source: CellSource,
  model: Denoiser,
  genes: readonly (string | number)[] | undefined,
): { isPredicted: Uint8Array; isKnown: Uint8Array } {
  const { ids } = model.vocabulary.match(source.genes);
  const isKnown = Uint8Array.from(ids, (id) => (id >= 0 ? 1 : 0));
  if (genes === undefined) return { isPredicted: isKnown, isKnown };
  const measured = new Set(ids);
  const found = findGenes(model, genes);
  const missing = found.findIndex((id) => !measured.has(id));
  if (missing >= 0) {
    const gene = String(genes[missing]);
    throw new DdscError(
      "GENE_UNKNOWN",
      `gene ${JSON.stringify(gene)} is not in ${source.name}; leave it out`,
      {
        argument: "genes",
        gene,
        file: source.name,
      },
    );
  }
  const wanted = new Set(found);
  return { isPredicted: Uint8Array.from(ids, (id) => (wanted.has(id) ? 1 : 0)), isKnown };
}
