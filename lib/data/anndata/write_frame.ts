import { type HierarchyWriter, numberType } from "../hierarchy_writer.js";
import { type Column, columnLength, type Frame, textCategories } from "../sources/frame.js";
import { ARRAY, STRINGS } from "./encodings.js";

/** Attributes of a group that is a column of categories, but for their order. */
export const CATEGORICAL = { "encoding-type": "categorical", "encoding-version": "0.2.0" } as const;

/** Attributes of a group that is a table. */
export function frameAttributes({
  indexName,
  columns,
}: {
  readonly indexName: string;
  readonly columns: ReadonlyMap<string, unknown>;
}) {
  return {
    "encoding-type": "dataframe",
    "encoding-version": "0.2.0",
    _index: columns.has(indexName) ? "_index" : indexName,
    "column-order": [...columns.keys()],
  };
}

/** Writes a table of AnnData (obs, var) as the group `path`, each column as it is typed. */
export async function writeFrame(writer: HierarchyWriter, path: string, frame: Frame): Promise<void> {
  const attributes = frameAttributes(frame);
  await writer.group(path, attributes);
  await writer.dataset(`${path}/${attributes._index}`, "string", [frame.index.length], frame.index, STRINGS);
  for (const [name, column] of frame.columns) await writeColumn(writer, `${path}/${name}`, column);
}

async function writeColumn(writer: HierarchyWriter, path: string, column: Column): Promise<void> {
  if (column.kind === "categories") {
    await writer.group(path, { ...CATEGORICAL, ordered: column.ordered });
    const codes = smallestCodes(column.codes, columnLength(column.categories));
    await writer.dataset(`${path}/codes`, numberType(codes), [codes.length], codes, ARRAY);
    await writeColumn(writer, `${path}/categories`, column.categories);
    return;
  }
  const shape = [column.values.length];
  if (column.kind === "strings") {
    // AnnData before 0.11 knows missing text only in categories.
    if (column.missing?.includes(1))
      await writeColumn(writer, path, textCategories(column.values, column.missing));
    else await writer.dataset(path, "string", shape, column.values, STRINGS);
    return;
  }
  const type = column.kind === "booleans" ? "boolean" : numberType(column.values);
  if (column.missing === undefined) {
    await writer.dataset(path, type, shape, column.values, ARRAY);
    return;
  }
  const encoding = column.kind === "booleans" ? "nullable-boolean" : "nullable-integer";
  await writer.group(path, { "encoding-type": encoding, "encoding-version": "0.1.0" });
  await writer.dataset(`${path}/values`, type, shape, column.values, ARRAY);
  await writer.dataset(`${path}/mask`, "boolean", shape, column.missing, ARRAY);
}

/** pandas' choice: the narrowest signed type that holds every code. */
function smallestCodes(codes: Int32Array, categories: number): Int8Array | Int16Array | Int32Array {
  if (categories <= 0x7f) return Int8Array.from(codes);
  return categories <= 0x7fff ? Int16Array.from(codes) : codes;
}
