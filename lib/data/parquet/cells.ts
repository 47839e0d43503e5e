import { readCells } from "../../native/data.js";
import { freeMemory } from "../../native/tokens.js";
import type { RawRows } from "../sources/count_matrix.js";
import { PartRowReader } from "../sources/part_rows.js";
import type { GroupParts } from "../sources/parts.js";
import { EXPRESSION_NAMES, TOKEN_NAMES, unknownToken } from "../tahoe/layout.js";
import type { ParquetFile } from "./file.js";
import type { ParquetLeaf } from "./footer.js";
import { NUMBER_TYPES, Physical } from "./format.js";

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
  parts: GroupParts,
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
