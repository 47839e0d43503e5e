import { DataType, type Field } from "apache-arrow";
import { joinCells } from "../../native/data.js";
import { namedErrors } from "../io/inflate.js";
import type { RandomAccess } from "../io/random_access.js";
import type { MetadataColumn, OpenOptions } from "../sources/cells.js";
import type { RawRows } from "../sources/count_matrix.js";
import { type FileParts, FileSource } from "../sources/file_source.js";
import { toFloat32 } from "../sources/number_array.js";
import { PartRowReader } from "../sources/part_rows.js";
import { PartTable } from "../sources/part_table.js";
import { type GroupParts, partsOfGroups } from "../sources/parts.js";
import { WideRows, wideLayout } from "../tables/wide_rows.js";
import { readTokenGenes } from "../tahoe/genes.js";
import { EXPRESSION_NAMES, idColumn, TOKEN_NAMES, unknownToken, wideFormatError } from "../tahoe/layout.js";
import { ArrowColumns, toInt32 } from "./columns.js";
import { ArrowFile } from "./file.js";
import { arrowKind, listElement } from "./types.js";

/** Columns read at the same time. */
const AT_ONCE = 32;

/**
 * Opens an Arrow file or stream of cells; `file` is closed with the source. Throws `DATA_FORMAT` where no column holds
 * cells, `DATA_MISSING_GENES`, and the errors of `ArrowFile.open` and `readTokenGenes`.
 */
export async function openArrow(file: RandomAccess, options: OpenOptions): Promise<FileSource> {
  const opened = await ArrowFile.open(file);
  try {
    return await FileSource.open({ ...(await cellParts(opened, options)), identity: file.identity });
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function cellParts(file: ArrowFile, options: OpenOptions): Promise<FileParts> {
  const parts = partsOfGroups(file.batches);
  const columns = new ArrowColumns(file);
  const { fields } = file.schema;
  const described = fields.map(({ name, type }) => ({ name, kind: arrowKind(type) }));
  const common = {
    path: file.name,
    options,
    cellCount: parts.bounds.at(-1) ?? 0,
    partBounds: parts.bounds,
    notes: file.notes,
    remedy: "",
    probedCells: 0,
    close: () => file.close(),
  };
  const tokens = findList(fields, TOKEN_NAMES, (element) => DataType.isInt(element));
  const expressions = findList(fields, EXPRESSION_NAMES, () => true);
  if (tokens !== undefined && expressions !== undefined) {
    const genes = await readTokenGenes(file.name, options.geneTable);
    const flat = described.flatMap(({ name, kind }) => (kind === undefined ? [] : [{ name, kind }]));
    return {
      ...common,
      matrix: listReader(file.name, columns, parts, tokens, expressions, genes.columnOf),
      cells: cellTable(file, columns, parts, flat),
      genes: genes.frame,
    };
  }
  const { genes, metadata } = wideLayout(described, options.metadataColumns ?? []);
  if (genes.length === 0)
    throw wideFormatError(
      file.name,
      fields.map(({ name }) => name),
    );
  return {
    ...common,
    matrix: wideReader(columns, parts, genes),
    cells: cellTable(file, columns, parts, metadata),
    genes: {
      index: genes.map((column) => fields[column]?.name ?? ""),
      indexName: "_index",
      columns: new Map(),
    },
  };
}

/** Number of the first column of these names that holds lists of such numbers. */
function findList(
  fields: readonly Field[],
  names: readonly string[],
  fits: (element: DataType) => boolean,
): number | undefined {
  for (const name of names) {
    const found = fields.findIndex((field) => {
      const element = listElement(field.type);
      return field.name === name && element !== undefined && fits(element);
    });
    if (found >= 0) return found;
  }
  return undefined;
}

function listReader(
  name: string,
  columns: ArrowColumns,
  parts: GroupParts,
  tokens: number,
  expressions: number,
  columnOf: Int32Array,
): PartRowReader {
  return new PartRowReader(parts.bounds, async (part): Promise<RawRows> => {
    const rows = parts.groups[part] ?? { group: 0, first: 0, count: 0 };
    const [genes, counts] = await Promise.all([
      columns.lists(tokens, rows),
      columns.lists(expressions, rows),
    ]);
    const cells = await namedErrors(name, async () =>
      joinCells(
        { values: toInt32(genes.values), offsets: genes.offsets },
        { values: toFloat32(counts.values), offsets: counts.offsets },
        columnOf,
      ),
    );
    if (cells.unknownRow >= 0)
      throw unknownToken(name, (parts.bounds[part] ?? 0) + cells.unknownRow, cells.unknownToken);
    return {
      offsets: cells.offsets,
      columns: cells.columns,
      values: cells.counts,
      checked: cells.clean && !cells.fractions,
    };
  });
}

function wideReader(columns: ArrowColumns, parts: GroupParts, genes: readonly number[]): PartRowReader {
  return new PartRowReader(parts.bounds, async (part) => {
    const rows = parts.groups[part] ?? { group: 0, first: 0, count: 0 };
    const wide = new WideRows(rows.count);
    for (let start = 0; start < genes.length; start += AT_ONCE) {
      const some = genes.slice(start, start + AT_ONCE);
      const read = await Promise.all(some.map((column) => columns.floats(column, rows)));
      for (const values of read) wide.add(values);
    }
    return wide.rows();
  });
}

function cellTable(
  file: ArrowFile,
  columns: ArrowColumns,
  parts: GroupParts,
  flat: readonly MetadataColumn[],
): PartTable {
  const id = idColumn(flat);
  const numberOf = new Map(file.schema.fields.map(({ name }, column) => [name, column]));
  return new PartTable(
    parts.bounds,
    flat.filter(({ name }) => name !== id),
    id,
    (name, part) => {
      const column = numberOf.get(name);
      if (column === undefined) throw file.corrupt(`column ${name} has gone`);
      return columns.column(column, parts.groups[part] ?? { group: 0, first: 0, count: 0 });
    },
  );
}
