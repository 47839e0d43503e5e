import { WINDOW_CELLS } from "../../batching/plan.js";
import type { CellSource } from "../../data/sources/source.js";
import type { TrainerSettings } from "../options.js";

/** What a user should know of how several processes read: where each reads what the others read, and need not. */
export function readingNotes(
  source: CellSource,
  { limit, lanes, lengthBuckets }: Pick<TrainerSettings, "limit" | "lanes" | "lengthBuckets">,
  world: number,
): string[] {
  const byCells = limit.kind === "cells" && !lengthBuckets;
  const isLarge = source.cellCount > WINDOW_CELLS && source.partBounds.length > world;
  if (world === 1 || lanes > 1 || !byCells || !isLarge) return [];
  // Told beforehand, the counts of cells say which of them a process needs.
  if (source.storedCounts?.(Int32Array.of(0)) !== undefined) return [];
  return [
    `each of the ${world} processes reads all of the data; with lanes (--lanes ${world}, or a multiple of it) each reads its own part`,
  ];
}
