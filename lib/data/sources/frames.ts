import { foundFrame } from "./cell_frame.js";
import type { Column, Frame } from "./frame.js";
import { rowRange } from "./parts.js";
import type { CellSource, SourceFrames, SourceTables } from "./source.js";

/**
 * The tables of a source's cells and genes, rows of cells to be read some at a time: as typed where the source keeps them, otherwise from
 * its metadata, which are read once to find categories, and genes.
 */
export async function tablesOf(source: CellSource): Promise<SourceTables> {
  if (source.tables !== undefined) return source.tables();
  const hasColumns = source.metadataColumns.length > 0;
  const obs = await foundFrame(source.cellCount, "_index", async (rows) => ({
    index: await source.cellIds(rows),
    columns: hasColumns ? await columnsOf(source, rows) : new Map(),
  }));
  return { obs, var: geneFrame(source) };
}

async function columnsOf(source: CellSource, rows: Int32Array): Promise<Map<string, Column>> {
  const { tableColumns } = await import("../tables/frame_table.js");
  return tableColumns(await source.metadata({ rows }));
}

/** As `tablesOf`, with the table of cells whole: for sources of a size to be held in memory. */
export async function framesOf(source: CellSource): Promise<SourceFrames> {
  const { obs, var: genes } = await tablesOf(source);
  const rows = await obs.at(rowRange(0, obs.length));
  return { obs: { ...rows, indexName: obs.indexName }, var: genes };
}

/** A table of genes: identifiers and, where a gene has other names, those, one column for each place in its list. */
export function geneFrame({ genes }: Pick<CellSource, "genes">): Frame {
  const most = genes.reduce((count, { aliases }) => Math.max(count, aliases.length), 0);
  const columns = new Map<string, Column>();
  for (let place = 0; place < most; place++) {
    const values = genes.map(({ id, aliases }) => aliases[place] ?? id);
    columns.set(place === 0 ? "gene_name" : `gene_name_${place + 1}`, { kind: "strings", values });
  }
  return { index: genes.map(({ id }) => id), indexName: "_index", columns };
}
