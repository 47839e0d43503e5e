import { type Column, type Frame, tableColumns } from "./frame.js";
import { rowRange } from "./parts.js";
import type { CellSource, SourceFrames } from "./source.js";

/** The tables of a source's cells and genes: as typed where the source keeps them, otherwise from its metadata and genes. */
export async function framesOf(source: CellSource): Promise<SourceFrames> {
  if (source.frames !== undefined) return source.frames();
  const index = await source.cellIds(rowRange(0, source.cellCount));
  const columns = source.metadataColumns.length === 0 ? new Map() : tableColumns(await source.metadata());
  return { obs: { index, indexName: "_index", columns }, var: geneFrame(source) };
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
