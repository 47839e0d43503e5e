import type { Content } from "../io/content.js";
import type { RandomAccess } from "../io/random_access.js";
import { openChecked } from "../io/random_access_open.js";
import type { MetadataColumn, OpenOptions } from "../sources/cells.js";
import { type FileParts, FileSource } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { PartTable } from "../sources/part_table.js";
import { type GroupParts, partsOfGroups } from "../sources/parts.js";
import { wideLayout } from "../tables/wide_rows.js";
import { areTokenColumns, readTokenGenes } from "../tahoe/genes.js";
import { geneTableError, idColumn, isCompanion, wideFormatError } from "../tahoe/layout.js";
import { findLists, listReader } from "./cells.js";
import { ParquetFile } from "./file.js";
import { MAGIC } from "./format.js";
import { columnKind, readFlatColumn } from "./text.js";
import { wideReader } from "./wide.js";

/** Cells in Parquet: lists of gene tokens and expressions as in Tahoe-100M, or a column a gene. */
export const parquet: CellFormat = {
  name: "Parquet",
  takes: ["metadataColumns", "geneTable"],
  matches: (content: Content) =>
    content.kind === "file" && MAGIC.equals(content.head.subarray(0, MAGIC.length)),
  open: async (path, options, check) => openParquet(await openChecked(path, check), options),
  opensAgain: true,
  isCompanion,
};

/**
 * Opens a Parquet file of cells; `file` is closed with the source. Throws `DATA_FORMAT` where no column holds cells,
 * `DATA_MISSING_GENES`, and the errors of `readFooter` and `readTokenGenes`.
 */
export async function openParquet(file: RandomAccess, options: OpenOptions): Promise<FileSource> {
  const opened = await ParquetFile.open(file);
  try {
    return await FileSource.open({ ...(await cellParts(opened, options)), identity: file.identity });
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function cellParts(file: ParquetFile, options: OpenOptions): Promise<FileParts> {
  const { leaves, rowGroups, rows } = file.footer;
  const common = {
    path: file.name,
    options,
    cellCount: rows,
    remedy: "",
    probedCells: 0,
    close: () => file.close(),
  };
  const lists = findLists(leaves);
  if (lists !== undefined) {
    const genes = await readTokenGenes(file.name, options.geneTable);
    const parts = partsOfGroups(
      Array.from(rowGroups.rows, (rows, group) => ({
        rows,
        values: rowGroups.column(group, lists.tokens)?.values ?? 0,
      })),
    );
    const flat = leaves.flatMap((leaf) => {
      const kind = columnKind(leaf);
      return kind === undefined ? [] : [{ name: leaf.path[0] ?? "", kind }];
    });
    return {
      ...common,
      matrix: listReader(file, parts, lists, genes.columnOf),
      cells: cellTable(file, parts, flat),
      genes: genes.frame,
      partBounds: parts.bounds,
      notes: [],
    };
  }
  const { genes, metadata } = wideLayout(
    leaves.map((leaf) => ({ name: leaf.path[0] ?? "", kind: columnKind(leaf) })),
    options.metadataColumns ?? [],
  );
  if (genes.length === 0)
    throw wideFormatError(
      file.name,
      leaves.map(({ path }) => path.join(".")),
    );
  const names = genes.map((leaf) => leaves[leaf]?.path[0] ?? "");
  if (areTokenColumns(names)) throw geneTableError(file.name);
  const parts = partsOfGroups(
    Array.from(rowGroups.rows, (rows) => ({ rows, values: rows * Math.sqrt(genes.length) })),
  );
  return {
    ...common,
    matrix: wideReader(file, parts, genes),
    cells: cellTable(file, parts, metadata),
    genes: { index: names, indexName: "_index", columns: new Map() },
    partBounds: parts.bounds,
    notes: [],
  };
}

function cellTable(file: ParquetFile, parts: GroupParts, flat: readonly MetadataColumn[]): PartTable {
  const id = idColumn(flat);
  const leafOf = new Map(file.footer.leaves.map(({ path }, leaf) => [path.join("."), leaf]));
  return new PartTable(
    parts.bounds,
    flat.filter(({ name }) => name !== id),
    id,
    (name, part) =>
      readFlatColumn(file, leafOf.get(name) ?? -1, parts.groups[part] ?? { group: 0, first: 0, count: 0 }),
  );
}
