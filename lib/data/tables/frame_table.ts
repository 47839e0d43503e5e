import {
  Bool,
  DataType,
  Dictionary,
  Float64,
  Int32,
  makeData,
  makeVector,
  Table,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import type { MetadataColumn } from "../sources/cells.js";
import { type Column, columnLength, columnOf, columnText } from "../sources/frame.js";
import { toFloat64 } from "../sources/number_array.js";

/** Arrow's validity bits (1 = there is a value) of a mask of missing values. */
function validity(
  length: number,
  isMissing: (row: number) => boolean,
): { nullBitmap: Uint8Array; nullCount: number } {
  const nullBitmap = new Uint8Array(Math.ceil(length / 64) * 8);
  let nullCount = 0;
  for (let row = 0; row < length; row++) {
    if (isMissing(row)) nullCount++;
    else nullBitmap[row >> 3] = (nullBitmap[row >> 3] ?? 0) | (1 << (row & 7));
  }
  return { nullBitmap, nullCount };
}

function textValues(column: Column): (string | null)[] {
  return Array.from({ length: columnLength(column) }, (_, row) => columnText(column, row) ?? null);
}

function arrowVector(column: Column): Vector {
  switch (column.kind) {
    case "categories": {
      const { codes } = column;
      const dictionary = vectorFromArray(textValues(column.categories), new Utf8());
      const valid = validity(codes.length, (row) => (codes[row] ?? -1) < 0);
      const type = new Dictionary(new Utf8(), new Int32());
      return new Vector([makeData({ type, length: codes.length, data: codes, dictionary, ...valid })]);
    }
    case "strings":
      return vectorFromArray(textValues(column), new Utf8());
    case "booleans": {
      const values = Array.from(column.values, (value, row) =>
        column.missing?.[row] === 1 ? null : value === 1,
      );
      return vectorFromArray(values, new Bool());
    }
    case "numbers": {
      const { values, missing } = column;
      if (missing === undefined) return makeVector(values);
      const filled = Array.from(toFloat64(values), (value, row) => (missing[row] === 1 ? null : value));
      return vectorFromArray(filled, new Float64());
    }
  }
}

/**
 * Columns as an Arrow table: categories as dictionaries of text, numbers with missing values as float64. No columns give a table
 * without rows.
 */
export function columnsTable(columns: ReadonlyMap<string, Column>): Table {
  const vectors: Record<string, Vector> = {};
  for (const [name, column] of columns) vectors[name] = arrowVector(column);
  return new Table(vectors);
}

/** The columns of an Arrow table as `CellSource.metadata` gives it: dictionaries and text, numbers, booleans. */
export function tableColumns(table: Table): Map<string, Column> {
  return new Map(
    table.schema.fields.map(({ name, type }) => {
      const values: unknown[] = [...(table.getChild(name) ?? [])];
      const kind: MetadataColumn["kind"] =
        DataType.isInt(type) || DataType.isFloat(type)
          ? "number"
          : DataType.isBool(type)
            ? "boolean"
            : "text";
      return [name, columnOf(kind, values)];
    }),
  );
}
