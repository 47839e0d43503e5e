import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { takeTurn } from "../base/turns.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type BatchLimit, checkLimit, cutBatches } from "./limit.js";

/** Number of cells of a batch. */
export function cellCount(batch: RaggedBatch): number {
  return batch.cells.length;
}

/** Tokens of each cell of a batch, [cells]. */
export function cellLengths(batch: RaggedBatch): Int32Array {
  return Int32Array.from(
    batch.cells,
    (_, cell) => (batch.offsets[cell + 1] as number) - (batch.offsets[cell] as number),
  );
}

/** Number of tokens that are not special: not cls and the like. */
export function countValid(tokens: Int32Array): number {
  let valid = 0;
  for (const token of tokens) if (token >= FIRST_RANK_TOKEN) valid++;
  return valid;
}

/**
 * The cells of all batches end to end, in order. Numbers of panels stay as they are, so batches with counts must be of one
 * source. Throws `BATCH_INVALID` where some batches have counts and others have none.
 */
export function concatenateBatches(batches: readonly RaggedBatch[]): RaggedBatch {
  const { whole, places } = placesOfBatches(batches);
  for (const place of places) copyCells(whole, place);
  return whole;
}

/** As `concatenateBatches`, with the event loop running in between. */
export async function concatenateInTurns(batches: readonly RaggedBatch[]): Promise<RaggedBatch> {
  await takeTurn();
  const { whole, places } = placesOfBatches(batches);
  for (const place of places) {
    await takeTurn();
    copyCells(whole, place);
  }
  return whole;
}

/** A batch and where it begins in a whole one. */
interface BatchPlace {
  readonly batch: RaggedBatch;
  readonly cell: number;
  readonly token: number;
}

/** An empty batch with room for the cells of all, and the place of each. Throws as `concatenateBatches`. */
function placesOfBatches(batches: readonly RaggedBatch[]): {
  readonly whole: RaggedBatch;
  readonly places: readonly BatchPlace[];
} {
  checkKind("batches", batches, "list");
  for (const batch of batches) checkKind("batches", batch, "batch");
  const cells = batches.reduce((sum, batch) => sum + cellCount(batch), 0);
  const tokens = batches.reduce((sum, batch) => sum + batch.tokens.length, 0);
  const withCounts = batches.filter(({ counts }) => counts !== undefined).length;
  if (withCounts > 0 && withCounts < batches.length) {
    throw new DdscError(
      "BATCH_INVALID",
      `${withCounts} of ${batches.length} batches have counts and the others have none; take all of them from one tokenizer`,
      { argument: "batches" },
    );
  }
  let cell = 0;
  let token = 0;
  const places = batches.map((batch) => {
    const place = { batch, cell, token };
    cell += cellCount(batch);
    token += batch.tokens.length;
    return place;
  });
  return { whole: allocate(cells, tokens, withCounts > 0), places };
}

function copyCells(whole: RaggedBatch, { batch, cell, token }: BatchPlace): void {
  whole.genes.set(batch.genes, token);
  whole.tokens.set(batch.tokens, token);
  whole.cells.set(batch.cells, cell);
  if (batch.counts !== undefined) whole.counts?.set(batch.counts, token);
  if (batch.panels !== undefined) whole.panels?.set(batch.panels, cell);
  for (let i = 1; i < batch.offsets.length; i++)
    whole.offsets[cell + i] = token + (batch.offsets[i] as number);
}

/**
 * The named cells of a batch (by place in the batch, from 0), in the order given.
 * Throws `ARGUMENT_RANGE` for a place outside the batch.
 */
export function selectCells(batch: RaggedBatch, places: ArrayLike<number>): RaggedBatch {
  checkKind("batch", batch, "batch");
  checkKind("places", places, "numbers");
  const lengths = cellLengths(batch);
  let tokens = 0;
  for (let i = 0; i < places.length; i++) {
    const length = lengths[places[i] as number];
    if (length === undefined) {
      throw new DdscError("ARGUMENT_RANGE", `no cell ${places[i]} in a batch of ${lengths.length} cells`, {
        argument: "places",
      });
    }
    tokens += length;
  }
  const part = allocate(places.length, tokens, batch.counts !== undefined);
  let token = 0;
  for (let i = 0; i < places.length; i++) {
    const place = places[i] as number;
    const start = batch.offsets[place] as number;
    const end = batch.offsets[place + 1] as number;
    part.genes.set(batch.genes.subarray(start, end), token);
    part.tokens.set(batch.tokens.subarray(start, end), token);
    part.cells[i] = batch.cells[place] as number;
    if (batch.counts !== undefined) part.counts?.set(batch.counts.subarray(start, end), token);
    if (part.panels !== undefined) part.panels[i] = batch.panels?.[place] ?? 0;
    token += end - start;
    part.offsets[i + 1] = token;
  }
  return part;
}

/**
 * A batch in micro-batches of consecutive cells, each as large as the limit allows; all but the offsets are views
 * of the batch. Throws `BATCH_TOKENS_TOO_FEW` for a cell that does not fit in any.
 */
export function splitBatch(batch: RaggedBatch, limit: BatchLimit): RaggedBatch[] {
  checkKind("batch", batch, "batch");
  const bounds = cutBatches(cellLengths(batch), checkLimit(limit));
  const parts: RaggedBatch[] = [];
  for (let i = 0; i + 1 < bounds.length; i++) {
    parts.push(cellsBetween(batch, bounds[i] as number, bounds[i + 1] as number));
  }
  return parts;
}

/** Cells `first` to `last` - 1 of a batch, which share its memory but for the offsets. */
export function cellsBetween(batch: RaggedBatch, first: number, last: number): RaggedBatch {
  const start = batch.offsets[first] as number;
  const end = batch.offsets[last] as number;
  return {
    offsets: batch.offsets.slice(first, last + 1).map((offset) => offset - start),
    genes: batch.genes.subarray(start, end),
    tokens: batch.tokens.subarray(start, end),
    cells: batch.cells.subarray(first, last),
    ...(batch.counts === undefined ? {} : { counts: batch.counts.subarray(start, end) }),
    ...(batch.panels === undefined ? {} : { panels: batch.panels.subarray(first, last) }),
  };
}

function allocate(cells: number, tokens: number, counts: boolean): RaggedBatch {
  const batch = {
    offsets: new Int32Array(cells + 1),
    genes: new Int32Array(tokens),
    tokens: new Int32Array(tokens),
    cells: new Float64Array(cells),
  };
  return counts ? { ...batch, counts: new Int32Array(tokens), panels: new Int32Array(cells) } : batch;
}
