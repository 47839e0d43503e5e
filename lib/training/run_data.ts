import { resolve } from "node:path";
import { checkKind } from "../base/arguments.js";
import { DdscError, wrongType } from "../base/errors.js";
import { publicAddress } from "../data/io/addresses.js";
import { isUrl } from "../data/io/content.js";
import { openSource } from "../data/open/open_cells.js";
import type { Peers } from "../data/open/share_out.js";
import { type CellSelection, CellSelector, type HeldOut } from "../data/select/selection.js";
import type { CellSplit } from "../data/select/split.js";
import type { OpenOptions } from "../data/sources/cells.js";
import type { SourceDescriptor } from "../data/sources/descriptor.js";
import { fingerprintOf, type SourceFingerprint } from "../data/sources/fingerprint.js";
import { joinRows, rowSpans } from "../data/sources/parts.js";
import { type CellSource, descriptorOf } from "../data/sources/source.js";

/** Which of a source's cells a run uses, and which of those it holds out; plain JSON. */
export interface RunCells {
  /** Only cells for which this condition holds; null: all. */
  readonly where: string | null;
  /** How cells are held out; null: none are. */
  readonly heldOut: HeldOut | null;
}

/** What a run remembers of its cells; plain JSON. */
export interface DataRecord extends RunCells, SourceFingerprint {
  /** Name of the source, for messages. */
  readonly name: string;
  /** How to open the files again, their paths absolute; null for cells that were in memory. */
  readonly source: SourceDescriptor | null;
  readonly cells: number;
  readonly genes: number;
}

/** A run's cells of one kind. */
export type RunSide = "train" | "validation";

/** Remembers a source and which of its cells are used and held out. */
export async function recordData(source: CellSource, cells: RunCells): Promise<DataRecord> {
  return {
    name: source.name,
    source: filesOf(source),
    cells: source.cellCount,
    genes: source.genes.length,
    ...(await fingerprintOf(source)),
    where: cells.where,
    heldOut: cells.heldOut,
  };
}

/** Whether two records are of the same cells and genes by name, so that rows and splits mean the same in both. */
export function isSameData(one: DataRecord, other: DataRecord): boolean {
  return one.cells === other.cells && one.genes === other.genes && one.digest === other.digest;
}

/** Throws `TRAIN_DATA_CHANGED` where the data at hand are not those that a run was begun with, or in other parts. */
export function requireSameData(begunWith: DataRecord, atHand: DataRecord): void {
  const same = isSameData(begunWith, atHand);
  if (same && begunWith.parts === atHand.parts) return;
  const problem = same
    ? "the same cells as those the run was begun with, but stored in other parts, so that they would come in another order"
    : `not the data the run was begun with (${begunWith.name}: ${begunWith.cells} cells, ${begunWith.genes} genes, their names included)`;
  throw new DdscError(
    "TRAIN_DATA_CHANGED",
    `${atHand.name}: this is ${problem}; use that data, or begin a new run`,
    { file: atHand.name },
  );
}

/** A run's training cells, or those it holds out (none where it holds out none). */
export function selectionOf({ where, heldOut }: RunCells, side: RunSide): CellSelection {
  const selected = where === null ? {} : { where };
  if (heldOut !== null) return { ...selected, split: { heldOut, side } };
  return side === "train" ? selected : { ...selected, rows: new Int32Array(0) };
}

/** Throws `TRAIN_DATA_CHANGED` for a source that is not a run's own. */
export async function requireRunData(record: DataRecord, source: CellSource): Promise<void> {
  const atHand = await recordData(source, record);
  if (!isSameData(record, atHand)) requireSameData(record, atHand);
}

/**
 * A run's training cells and held-out cells in its own data, as lists of rows; `selectionOf` for data too large for that.
 * Throws `TRAIN_DATA_CHANGED` for another source.
 */
export async function splitRunCells(record: DataRecord, source: CellSource): Promise<CellSplit> {
  checkRecord(record);
  checkKind("source", source, "cells");
  await requireRunData(record, source);
  return {
    train: await rowsOf(record, source, "train"),
    validation: await rowsOf(record, source, "validation"),
  };
}

/** Opens the files a run was trained on. Throws `DATA_IN_MEMORY` where there were none, and as `openCells` does. @param peers as there */
export async function openRunCells(record: DataRecord, peers?: Peers): Promise<CellSource> {
  checkRecord(record);
  if (record.source !== null) return openSource(record.source, peers);
  throw new DdscError(
    "DATA_IN_MEMORY",
    `the run was trained on cells in memory (${record.name}), which cannot be opened again; pass its data`,
    { argument: "data" },
  );
}

/** Throws `ARGUMENT_TYPE` for something else than a record. */
function checkRecord(record: DataRecord): void {
  const isRecord =
    typeof record === "object" &&
    record !== null &&
    (record.where === null || typeof record.where === "string") &&
    [record.heldOut, record.source].every((part) => typeof part === "object");
  if (!isRecord)
    throw wrongType("record", record, "the data of a run, such as (await readRecord(folder)).data,");
}

async function rowsOf(record: DataRecord, source: CellSource, side: RunSide): Promise<Int32Array> {
  const selector = await CellSelector.create(source, selectionOf(record, side));
  const found: Int32Array[] = [];
  for (const span of rowSpans(source.partBounds)) found.push(await selector.rows(span));
  return joinRows(found);
}

function filesOf(source: CellSource): SourceDescriptor | null {
  const descriptor = descriptorOf(source);
  return descriptor === undefined ? null : withAbsolutePaths(descriptor);
}

/** The recipe with absolute paths and without passwords of addresses; null for cells that are in memory alone. */
function withAbsolutePaths(descriptor: SourceDescriptor): SourceDescriptor | null {
  switch (descriptor.kind) {
    case "file":
    case "shared": {
      const { path, options } = descriptor;
      return { kind: "file", path: absolute(path), options: withPublicTable(options) };
    }
    case "files": {
      const { kind, name, paths, options } = descriptor;
      return { kind, name, paths: paths.map(absolute), options: withPublicTable(options) };
    }
    case "simulated":
      return descriptor;
    case "concatenated": {
      const sources = descriptor.sources.map(withAbsolutePaths).filter((source) => source !== null);
      return sources.length === descriptor.sources.length ? { ...descriptor, sources } : null;
    }
    case "pool":
    case "memory":
    case "subset":
      return null;
  }
}

function absolute(path: string): string {
  return isUrl(path) ? publicAddress(path) : resolve(path);
}

function withPublicTable(options: OpenOptions): OpenOptions {
  const { geneTable } = options;
  return geneTable === undefined ? options : { ...options, geneTable: publicAddress(geneTable) };
}

/** Throws `DATA_TOO_FEW` for data that nothing can be learnt from. */
export function requireEnough({ name, cellCount, genes }: CellSource): void {
  if (cellCount >= 2 && genes.length >= 2) return;
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? "" : "s"}`;
  throw new DdscError(
    "DATA_TOO_FEW",
    `${name}: holds ${count(cellCount, "cell")} and ${count(genes.length, "gene")}; training takes two of each at least: give other data`,
    { file: name },
  );
}
