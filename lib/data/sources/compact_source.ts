import { withoutRows } from "./cell_frame.js";
import { CompactRows } from "./compact_rows.js";
import type { CompactTables, SharedCells } from "./descriptor.js";
import { FileSource, namesOnly } from "./file_source.js";
import { takeRows } from "./frame.js";
import { PackedStrings } from "./packed_strings.js";
import { fixedParts } from "./parts.js";

/** A text file of cells that was read once. */
export interface CompactCells extends CompactTables {
  readonly rows: CompactRows;
  /** Names of cells; undefined where they have none. */
  readonly names: PackedStrings | undefined;
}

/** The cells as a source, to which `rows` belong from here on; another thread is handed what was made, not the file. */
export function openCompactCells(cells: CompactCells): Promise<FileSource> {
  const { rows, names, firstName, indexName, metadata, metadataColumns, path, options, genes } = cells;
  const { note } = rows;
  return FileSource.open({
    path,
    options,
    cellCount: rows.rows,
    matrix: rows,
    cells: {
      ...namesOnly(names, firstName),
      indexName,
      columns: metadataColumns,
      read: (wanted, some) =>
        new Map(
          wanted.flatMap((name) => {
            const column = metadata.get(name);
            return column === undefined ? [] : [[name, some === undefined ? column : takeRows(column, some)]];
          }),
        ),
      types: () => withoutRows(metadata),
    },
    genes,
    partBounds: fixedParts(rows.rows),
    notes: note === undefined || cells.notes.includes(note) ? cells.notes : [note, ...cells.notes],
    remedy: "",
    handover: () => ({
      kind: "shared",
      path,
      options,
      indexName,
      firstName,
      metadataColumns,
      metadata,
      genes,
      notes: cells.notes,
      rows: rows.share(),
      names: names?.packed(),
    }),
    close: () => rows[Symbol.dispose](),
  });
}

/** Opens what another thread handed over. Throws `DATA_CLOSED` where that one has closed it. */
export async function openSharedCells(shared: SharedCells): Promise<FileSource> {
  const { kind: _, rows, names, ...tables } = shared;
  return openCompactCells({
    ...tables,
    rows: await CompactRows.from(rows),
    names: names && PackedStrings.from(names),
  });
}
