import { checkKind } from "../base/arguments.js";
import { checkChoice, checkNumber, DdscError } from "../base/errors.js";

/** How large a batch may be: so many cells, or so many tokens. */
export type BatchLimit =
  | { readonly kind: "cells"; readonly cells: number }
  | { readonly kind: "tokens"; readonly tokens: number };

/** Throws `ARGUMENT_RANGE` unless the limit is a whole number >= 1. */
export function checkLimit(limit: BatchLimit): BatchLimit {
  checkKind("limit", limit, "object");
  checkChoice("limit.kind", limit.kind, ["cells", "tokens"]);
  const range = { min: 1, max: 2 ** 31 - 1, integer: true };
  if (limit.kind === "cells") checkNumber("batchCells", limit.cells, range);
  else checkNumber("batchTokens", limit.tokens, range);
  return limit;
}

/**
 * Cuts so many cells into as few batches as the limit allows, of equal size to within one cell.
 * @returns bounds, [batches + 1]; [0] for no cells.
 */
export function evenBatches(cells: number, most: number): Int32Array {
  const batches = Math.ceil(cells / most);
  return Int32Array.from({ length: batches + 1 }, (_, batch) =>
    batch === 0 ? 0 : Math.floor((batch * cells) / batches),
  );
}

/**
 * Cuts cells of these lengths, in order, into batches as large as the limit allows.
 * @returns bounds, [batches + 1]: batch i is cells bounds[i] .. bounds[i + 1] - 1; [0] for no cells.
 * Throws `BATCH_TOKENS_TOO_FEW` for a cell that is longer than the limit by itself.
 */
export function cutBatches(lengths: ArrayLike<number>, limit: BatchLimit): Int32Array {
  const bounds = [0];
  let tokens = 0;
  for (let cell = 0; cell < lengths.length; cell++) {
    const length = lengths[cell] as number;
    if (limit.kind === "tokens" && length > limit.tokens) {
      throw new DdscError(
        "BATCH_TOKENS_TOO_FEW",
        `a cell of ${length} tokens does not fit in a batch of ${limit.tokens} tokens; raise batchTokens or lower maxLength`,
        { argument: "batchTokens" },
      );
    }
    const start = bounds.at(-1) as number;
    const full = limit.kind === "cells" ? cell - start === limit.cells : tokens + length > limit.tokens;
    if (full && cell > start) {
      bounds.push(cell);
      tokens = 0;
    }
    tokens += length;
  }
  if (lengths.length > 0) bounds.push(lengths.length);
  return Int32Array.from(bounds);
}
