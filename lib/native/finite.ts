/** Nothing that is not a number leaves the addon unseen. */
import { DdscError } from "../base/errors.js";
import { callAddon } from "./addon.js";

/** The addon's function, as it is exported. */
interface FiniteAddon {
  firstNotFinite(values: Float32Array): Promise<number>;
}

/** Index of the first value that is not finite, -1 if there is none. Off the event loop; `values` must not change meanwhile. */
export async function firstNotFinite(values: Float32Array): Promise<number> {
  return callAddon((addon: FiniteAddon) => addon.firstNotFinite(values));
}

/**
 * Checks what a model says, entry by entry.
 *
 * @param cellOf the cell that an entry is of, by the entry's number
 *
 * Throws `MODEL_NOT_FINITE` naming the cell of the first entry that is not finite.
 */
export function requireFinite(said: readonly Float32Array[], cellOf: (entry: number) => number): void {
  for (const values of said) {
    // A sum is finite where all values are, but for one that overflows.
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i] as number;
    if (Number.isFinite(sum)) continue;
    const entry = values.findIndex((value) => !Number.isFinite(value));
    if (entry >= 0) throw notFinite(cellOf(entry));
  }
}

/** Checks what was drawn: the addon draws -1 from what is not finite. Throws `MODEL_NOT_FINITE`. */
export function requireDrawn(drawn: Int32Array, cellOf: (entry: number) => number): void {
  const entry = drawn.indexOf(-1);
  if (entry >= 0) throw notFinite(cellOf(entry));
}

/** Which cell an entry is of. */
export interface EntryCells {
  /** Numbers of the cells, [cells]. */
  readonly cells: Float64Array;
  /** End of each cell's entries, [cells]. */
  readonly ends: Int32Array;
}

/** The number of the cell that an entry is of. */
export function cellOfEntry({ cells, ends }: EntryCells, entry: number): number {
  return cells[ends.findIndex((end) => entry < end)] ?? 0;
}

function notFinite(cell: number): DdscError {
  return new DdscError(
    "MODEL_NOT_FINITE",
    `the model says nothing finite of a gene of cell ${cell}: its weights are damaged, or its training diverged; restore it, or train again with a lower learning rate`,
    { argument: "model" },
  );
}
