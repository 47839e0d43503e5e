import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { openSource } from "../data/index.js";
import { rowRange } from "../data/parts.js";
import type { CellSource, SourceDescriptor } from "../data/source.js";
import { type CellSplit, splitCells } from "../data/split.js";
import { DdscError } from "../errors.js";

/** What a run remembers of its cells; plain JSON. */
export interface DataRecord {
  /** Name of the source, for messages. */
  readonly name: string;
  /** How to open a file again, its path absolute; null for cells that were in memory. */
  readonly source: Extract<SourceDescriptor, { kind: "file" }> | null;
  readonly cells: number;
  readonly genes: number;
  /** SHA-256 (hex) of the gene identifiers and cell names. */
  readonly digest: string;
  /** How cells were held out; null: none were. */
  readonly heldOut: { readonly fraction: number; readonly seed: number } | null;
}

/** Remembers a source and how its cells are split. */
export async function recordData(source: CellSource, heldOut: DataRecord["heldOut"]): Promise<DataRecord> {
  return {
    name: source.name,
    source: fileOf(source),
    cells: source.cellCount,
    genes: source.genes.length,
    digest: await digestOf(source),
    heldOut,
  };
}

/** Whether two records are of the same cells and genes by name, so that rows and splits mean the same in both. */
export function isSameData(one: DataRecord, other: DataRecord): boolean {
  return one.cells === other.cells && one.genes === other.genes && one.digest === other.digest;
}

/** Throws `TRAIN_DATA_CHANGED` where the data at hand are not those that a run was begun with. */
export function requireSameData(begunWith: DataRecord, atHand: DataRecord): void {
  if (isSameData(begunWith, atHand)) return;
  throw new DdscError(
    "TRAIN_DATA_CHANGED",
    `${atHand.name}: this is not the data the run was begun with (${begunWith.name}: ${begunWith.cells} cells, ` +
      `${begunWith.genes} genes, their names included); use that data, or begin a new run`,
    { file: atHand.name },
  );
}

/** Training cells and held-out cells of a source. */
export async function splitBy(heldOut: DataRecord["heldOut"], source: CellSource): Promise<CellSplit> {
  if (heldOut !== null) return splitCells(source, heldOut);
  return {
    train: Int32Array.from({ length: source.cellCount }, (_, row) => row),
    validation: new Int32Array(0),
  };
}

/** A run's training cells and held-out cells in its own data. Throws `TRAIN_DATA_CHANGED` for another source. */
export async function splitRunCells(record: DataRecord, source: CellSource): Promise<CellSplit> {
  requireSameData(record, await recordData(source, record.heldOut));
  return splitBy(record.heldOut, source);
}

/** Opens the file a run was trained on. Throws `DATA_IN_MEMORY` where it was none, and as `openCells` does. */
export async function openRunCells(record: DataRecord): Promise<CellSource> {
  if (record.source !== null) return openSource(record.source);
  throw new DdscError(
    "DATA_IN_MEMORY",
    `the run was trained on cells in memory (${record.name}), which cannot be opened again; pass its data`,
    { argument: "data" },
  );
}

function fileOf(source: CellSource): DataRecord["source"] {
  let descriptor: SourceDescriptor;
  try {
    descriptor = source.descriptor();
  } catch (error) {
    if (error instanceof DdscError && error.code === "SOURCE_NOT_SHAREABLE") return null;
    throw error;
  }
  return descriptor.kind === "file" ? { ...descriptor, path: resolve(descriptor.path) } : null;
}

async function digestOf(source: CellSource): Promise<string> {
  const hash = createHash("sha256");
  for (const { id } of source.genes) hash.update(`${id}\n`);
  hash.update("\n");
  for (const id of await source.cellIds(rowRange(0, source.cellCount))) hash.update(`${id}\n`);
  return hash.digest("hex");
}
