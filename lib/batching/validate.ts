import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";

/** What the model a batch is meant for can take. */
export interface BatchBounds {
  /** Rows of the gene embedding; gene ids are below it. */
  readonly geneVocabularySize: number;
  /** Rank tokens V, mask included; tokens are below it. */
  readonly tokenCount: number;
  /** Whether a batch without cells will do: where there is nothing to do, nothing is done. Default false. */
  readonly mayBeEmpty?: boolean;
}

/**
 * Throws `ARGUMENT_TYPE` for something else than a batch, and `BATCH_INVALID` unless native code may read the batch: at least one cell (see `mayBeEmpty`), offsets from 0 to the number of
 * tokens, every cell with at least one token, equal lengths (those of counts and panels where there are some), gene ids and tokens within bounds.
 */
export function validateBatch(batch: RaggedBatch, bounds: BatchBounds): void {
  checkKind("batch", batch, "batch");
  const { offsets, genes, tokens, cells } = batch;
  if (cells.length === 0 && bounds.mayBeEmpty !== true) throw invalid("it has no cells");
  if (offsets.length !== cells.length + 1) {
    throw invalid(`${cells.length} cells need ${cells.length + 1} offsets but there are ${offsets.length}`);
  }
  if (genes.length !== tokens.length)
    throw invalid(`${genes.length} genes do not pair with ${tokens.length} tokens`);
  const { counts, panels } = batch;
  if (counts !== undefined && counts.length !== tokens.length)
    throw invalid(`${counts.length} counts do not pair with ${tokens.length} tokens`);
  if (panels !== undefined && panels.length !== cells.length)
    throw invalid(`${panels.length} numbers of panels do not pair with ${cells.length} cells`);
  if (offsets[0] !== 0) throw invalid(`its first offset is ${offsets[0]}, not 0`);
  if (offsets[cells.length] !== tokens.length) {
    throw invalid(`its last offset is ${offsets[cells.length]} but it has ${tokens.length} tokens`);
  }
  for (let cell = 0; cell < cells.length; cell++) {
    if ((offsets[cell + 1] as number) <= (offsets[cell] as number)) {
      throw invalid(
        `cell ${cell} runs from token ${offsets[cell]} to ${offsets[cell + 1]}; every cell needs a token`,
      );
    }
  }
  checkRange(genes, bounds.geneVocabularySize, "gene id", "is the batch from another vocabulary?");
  checkRange(tokens, bounds.tokenCount, "token", "is it from a tokenizer with more values?");
}

function checkRange(values: Int32Array, end: number, what: string, question: string): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < 0 || value >= end) {
      throw invalid(`${what} ${value} at token ${i} is outside 0..${end - 1} of the model; ${question}`);
    }
  }
}

function invalid(problem: string): DdscError {
  return new DdscError("BATCH_INVALID", `the batch cannot be used: ${problem}`, { argument: "batch" });
}
