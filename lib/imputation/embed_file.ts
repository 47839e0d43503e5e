import { checkKind } from "../base/arguments.js";
import { checkChoice, checkOptionNames } from "../base/errors.js";
import { packageVersion } from "../base/version.js";
import { FOLDS } from "../counts/folds.js";
import type { AnnDataStream, StreamedRows } from "../data/anndata/write.js";
import { writePart } from "../data/shards/part.js";
import { type StreamedFrame, withoutMissingText } from "../data/sources/cell_frame.js";
import type { Column } from "../data/sources/frame.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { requireCounts } from "./counted_cells.js";
import { embedCells } from "./embed_cells.js";
import { FILE_JOB_NAMES, type FileJobOptions, withFileJob } from "./file_job.js";
import { stateCoordinates } from "./state_coordinates.js";

/** Options of `embedFile`. */
export interface EmbedFileOptions extends FileJobOptions {
  /** Whether obs/ddsc_nll is written, which takes most of the time; default false. */
  readonly nll?: boolean;
  /** What the model is told of the cells' conditions: "none" (default), so that no label gets into an embedding, or "own". */
  readonly conditions?: "own" | "none";
}

/** What `embedFile` wrote. */
export interface Embedding {
  /** What was written, of a shard its part. */
  readonly out: string;
  /** Of a shard: whether its part was there already, and nothing was done. */
  readonly kept: boolean;
  readonly cells: number;
  readonly genes: number;
  /** Genes that the model knows: cells are embedded by these. */
  readonly knownGenes: number;
  /** Width of the state. */
  readonly width: number;
  /** Mean of obs/ddsc_nll over the cells, nats a measured gene; where it was asked for. */
  readonly nll?: number;
  /** What a reader should know. */
  readonly notes: readonly string[];
}

const OPTION_NAMES: Readonly<Record<keyof EmbedFileOptions, true>> = {
  ...FILE_JOB_NAMES,
  nll: true,
  conditions: true,
};

/**
 * Writes cells with their states as AnnData: X and the tables as they are, and
 *
 * - obsm/X_ddsc: the state z of each cell (`embedCells`), float32 [cells, width], in the coordinates of `stateCoordinates`;
 * - obs/ddsc_nll, with `nll`: -log-likelihood of the cell, nats a measured gene: high for a cell unlike those that were learnt from;
 * - varm/ddsc_factors: factor of each gene, float32 [genes, width]; NaN for genes that the model does not know. factor . z is how
 *   far the state raises the log of the gene's mean over depth times share.
 *
 * Memory does not grow with the number of cells. What is written appears whole or not at all. Throws as `imputeFile`.
 */
export async function embedFile(options: EmbedFileOptions): Promise<Embedding> {
  checkOptionNames("options of embedFile", options, OPTION_NAMES);
  return withFileJob(options, async ({ source, model, part, rows, cellCount, tables, names }) => {
    const {
      nll = false,
      conditions = "none",
      allowFractional = false,
      overwrite = false,
      maxRows,
      signal,
      onProgress,
    } = options;
    requireCounts(model);
    checkKind("nll", nll, "switch");
    checkChoice("conditions", conditions, ["own", "none"]);
    const uns = {
      ddsc: {
        package: packageVersion(),
        command: "embed",
        ...names,
        conditions,
        ...(nll ? { folds: FOLDS } : {}),
      },
    };
    const written = await part({ ...uns, nll });
    const width = model.config.counts?.state ?? 0;
    const coordinates = await stateCoordinates(model, signal);
    /** Of the cells that are not written yet. */
    const scores: number[] = [];
    let total = 0;
    const notes: string[] = [];
    const selection = rows === undefined ? {} : { rows };
    async function* made(): AsyncGenerator<StreamedRows> {
      let done = 0;
      const stream = embedCells(source, model, {
        selection,
        conditions,
        nll,
        allowFractional,
        ...(maxRows === undefined ? {} : { maxRows }),
        ...(signal === undefined ? {} : { signal }),
        onNote: (note) => notes.push(`${source.name}: ${note}`),
      });
      for await (const { block, state, nll: nats } of stream) {
        for (const score of nats ?? []) {
          scores.push(score);
          total += score;
        }
        const { offsets, columns, counts } = block;
        yield { X: { offsets, columns, values: counts }, "obsm/X_ddsc": coordinates.states(state) };
        done += block.rows.length;
        onProgress?.(done, cellCount);
      }
    }
    const factors = geneFactors(source, model, coordinates.factors, width);
    const contents: AnnDataStream = {
      obs: nll ? withScores(await withoutMissingText(tables.obs), scores) : tables.obs,
      var: tables.var,
      matrices: {
        X: { kind: "csr", type: "float32" },
        "obsm/X_ddsc": { kind: "dense", type: "float32", width },
      },
      rows: made(),
      varm: { ddsc_factors: { values: factors.values, width } },
      uns,
    };
    await writePart(written, contents, overwrite);
    return {
      out: written.out,
      kept: written.isThere,
      cells: cellCount,
      genes: source.genes.length,
      knownGenes: factors.known,
      width,
      ...(nll && !written.isThere ? { nll: total / cellCount } : {}),
      notes,
    };
  });
}

/** The table with the scores of the cells, the first of which are taken from `scores` as they are written. */
function withScores(obs: StreamedFrame, scores: number[]): StreamedFrame {
  const column = (values: Float64Array): Column => ({ kind: "numbers", values });
  return {
    length: obs.length,
    indexName: obs.indexName,
    columns: new Map([...obs.columns, ["ddsc_nll", column(new Float64Array(0))]]),
    rows: async (first, end) => {
      const { index, columns } = await obs.rows(first, end);
      const own = column(Float64Array.from(scores.splice(0, end - first)));
      return { index, columns: new Map([...columns, ["ddsc_nll", own]]) };
    },
  };
}

/** Factors of a source's genes, row by row; NaN for those that the model does not know. */
function geneFactors(
  source: CellSource,
  model: Denoiser,
  all: Float32Array,
  width: number,
): { readonly values: Float32Array; readonly known: number } {
  const { ids, matched } = model.vocabulary.match(source.genes);
  const values = new Float32Array(ids.length * width).fill(Number.NaN);
  for (const [column, id] of ids.entries())
    if (id >= 0) values.set(all.subarray(id * width, (id + 1) * width), column * width);
  return { values, known: matched };
}
