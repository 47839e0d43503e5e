import { checkKind, checkOptions } from "../base/arguments.js";
import { checkChoice, checkWhole, DdscError } from "../base/errors.js";
import { takeTurn } from "../base/turns.js";
import { streamBlocks } from "../batching/rows.js";
import { CellConditions } from "../conditions/cell_conditions.js";
import { baseOf } from "../counts/ask_model.js";
import type { CountCells } from "../counts/count_cells.js";
import type { CellSelection } from "../data/select/selection.js";
import type { CellBlock } from "../data/sources/cells.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { CellTokenizer, CountTokens, type GeneMapping } from "../tokenizer/index.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";

/** Which cells a model of counts reads, and how. */
export interface CountedCellsOptions {
  /** Which cells; default all. */
  readonly selection?: CellSelection;
  /**
   * What the model is told of the cells' conditions (type, donor, ...): "own", what the source's columns say, or "none". Of a column
   * that is missing, and of a value that the model has not learnt, it is told nothing.
   */
  readonly conditions?: "own" | "none";
  /** Whether counts that are no whole numbers are rounded for the model; default false: they are refused. */
  readonly allowFractional?: boolean;
  /** Rows (cls, visible and hidden genes of a cell) of one run of the network at most; default 32,768. Changes no result. */
  readonly maxRows?: number;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told how many rows of the source have been looked at. */
  readonly onProgress?: (rows: number) => void;
  /** Told once what a reader should know: what the model is not told of the cells, say. */
  readonly onNote?: (note: string) => void;
}

/** Some cells of a source as they are stored, and as a model of counts reads them. */
export interface CountedBlock {
  readonly block: CellBlock;
  /** All cells of the block, those without a count included. */
  readonly cells: CountCells;
}

/** A source as a model of counts reads it. */
export interface CountedSource {
  readonly mapping: GeneMapping;
  readonly conditions: CellConditions;
  blocks(): AsyncGenerator<CountedBlock, void, undefined>;
}

/** Cells times measured genes that are held at a time: some 20 bytes each. */
const MOST_ENTRIES = 2 ** 18;
const MOST_CELLS = 1024;

/**
 * Opens a source for a model of counts. Every cell is read, whatever its counts. Throws `MODEL_CONFIG` for a model of ranks,
 * `MODEL_BASE`, `DATA_NO_KNOWN_GENES`, and as `CellSelector.create`.
 */
export async function countedSource(
  source: CellSource,
  model: Denoiser,
  options: CountedCellsOptions,
  fallback: "own" | "none",
): Promise<CountedSource> {
  checkKind("source", source, "cells");
  requireCounts(model);
  checkOptions(options, {
    selection: "object",
    allowFractional: "switch",
    signal: "signal",
    onProgress: "function",
    onNote: "function",
  });
  const { selection, allowFractional = false, signal, onProgress, onNote } = options;
  if (options.maxRows !== undefined) checkWhole("maxRows", options.maxRows, 1);
  const told = checkChoice("conditions", options.conditions ?? fallback, ["own", "none"]);
  const tokenizer = new CellTokenizer({
    vocabulary: model.vocabulary,
    strategy: allowFractional ? new CountTokens({ allowFractional }) : model.strategy,
    cls: false,
  });
  const mapping = tokenizer.map(source);
  const conditions =
    told === "none"
      ? CellConditions.none(model.conditions)
      : await CellConditions.read(source, model.conditions, { unknown: "untold" });
  for (const note of conditions.notes) onNote?.(note);
  const cells = Math.max(1, Math.min(MOST_CELLS, Math.floor(MOST_ENTRIES / mapping.measured.length)));
  return {
    mapping,
    conditions,
    async *blocks() {
      for await (const block of streamBlocks(source, { cells, selection, signal, onProgress })) {
        await takeTurn(signal);
        const { batch } = tokenizer.tokenize(block, mapping, 0);
        yield { block, cells: wholeCells(block, batch, mapping) };
      }
    },
  };
}

/** Throws `ARGUMENT_TYPE`, `MODEL_BASE`, and `MODEL_CONFIG` for a model of ranks. */
export function requireCounts(model: Denoiser): void {
  checkKind("model", model, "model");
  if (model.config.counts === undefined) {
    throw new DdscError(
      "MODEL_CONFIG",
      "this is for models of counts and the model is of ranks; train one of counts (leave --values ranks out), or fill in ranks with inpaint",
      { argument: "model" },
    );
  }
  baseOf(model);
}

/** The cells of a block, those that the tokenizer skipped, as they have no count of a known gene, included. */
function wholeCells({ rows }: CellBlock, batch: RaggedBatch, mapping: GeneMapping): CountCells {
  const { genes, counts = new Int32Array(genes.length) } = batch;
  const offsets = new Int32Array(rows.length + 1);
  let next = 0;
  for (const [cell, row] of rows.entries()) {
    if (batch.cells[next] === row) next++;
    offsets[cell + 1] = batch.offsets[next] ?? 0;
  }
  return {
    offsets,
    genes,
    counts,
    panels: Int32Array.from(rows, (row) => mapping.panelOf(row)),
    panelGenes: mapping.panels,
  };
}
