import { readCells } from "../../native/data.js";
import { freeMemory } from "../../native/tokens.js";
import type { RawRows } from "../sources/count_matrix.js";
import { PartRowReader } from "../sources/part_rows.js";
import { EXPRESSION_NAMES, TOKEN_NAMES, unknownToken } from "../tahoe/layout.js";
import type { GroupRows, ParquetFile } from "./file.js";
import type { ParquetLeaf } from "./footer.js";
import { NUMBER_TYPES, Physical } from "./format.js";

/** Rows of a file in parts that are read at once. */
export interface ParquetParts {
  /** Bounds of parts in rows of the file, [parts + 1]. */
  readonly bounds: Float64Array;
  /** The same rows in numbers of their row group, [parts]. */
  readonly groups: readonly GroupRows[];
}

/** Row groups with more values or rows than these are read in several parts. */
const GROUP_VALUES = 2 ** 23;
const PART_VALUES = 2 ** 22;
const PART_ROWS = 2 ** 16;

/** Parts of a file: its row groups, large ones cut up. `valuesOf` tells how many values of a row group are decoded together. */
export function parquetParts(file: ParquetFile, valuesOf: (group: number) => number): ParquetParts {
  const bounds = [0];
  const groups: GroupRows[] = [];
  for (const [group, rows] of file.footer.rowGroups.rows.entries()) {
    const values = valuesOf(group);
    const byValues = values > GROUP_VALUES ? Math.ceil(values / PART_VALUES) : 1;
    const count = Math.min(rows, Math.max(byValues, Math.ceil(rows / PART_ROWS)));
    for (let part = 0; part < count; part++) {
      const first = Math.floor((rows * part) / count);
      const end = Math.floor((rows * (part + 1)) / count);
      groups.push({ group, first, count: end - first });
      bounds.push((bounds.at(-1) ?? 0) + end - first);
    }
  }
  return { bounds: Float64Array.from(bounds), groups };
}

/** The leaves of gene tokens and expressions. */
export interface ListLeaves {
  readonly tokens: number;
  readonly expressions: number;
}

/** Finds the two columns of lists that hold cells; undefined where there are none. */
export function findLists(leaves: readonly ParquetLeaf[]): ListLeaves | undefined {
  const lists = [...leaves.entries()].filter(([, { maxRepetition }]) => maxRepetition === 1);
  const pick = (names: readonly string[], types: readonly number[]): number | undefined => {
    const fitting = lists.filter(([, { physical }]) => types.includes(physical));
    for (const name of names) {
      const found = fitting.find(([, { path }]) => path[0] === name);
      if (found !== undefined) return found[0];
    }
    return undefined;
  };
  const tokens = pick(TOKEN_NAMES, [Physical.int32, Physical.int64]);
  const expressions = pick(EXPRESSION_NAMES, NUMBER_TYPES);
  return tokens === undefined || expressions === undefined ? undefined : { tokens, expressions };
}

/** Reads cells kept as lists of gene tokens and expressions: the layout of Tahoe-100M. */
export function listReader(
  file: ParquetFile,
  parts: ParquetParts,
  leaves: ListLeaves,
  columnOf: Int32Array,
): PartRowReader {
  const readPart = async (part: number, signal?: AbortSignal): Promise<RawRows> => {
    const rows = parts.groups[part] ?? { group: 0, first: 0, count: 0 };
    const [tokens, expressions] = await Promise.all([
      file.readColumn(leaves.tokens, rows, signal),
      file.readColumn(leaves.expressions, rows, signal),
    ]);
    const cells = await file.native(
      readCells(tokens.column, tokens.rows, expressions.column, expressions.rows, columnOf),
    );
    freeMemory(...tokens.column.bodies, ...expressions.column.bodies);
    if (cells.unknownRow >= 0)
      throw unknownToken(file.name, (parts.bounds[part] ?? 0) + cells.unknownRow, cells.unknownToken);
    const { offsets, columns, counts } = cells;
    return { offsets, columns, values: counts, checked: cells.clean && !cells.fractions };
  };
  return new PartRowReader(parts.bounds, readPart);
}
