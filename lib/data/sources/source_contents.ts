import type { AnnDataPart, GeneColumn, OpenOptions, SourceContents } from "./cells.js";
import { columnText, type Frame } from "./frame.js";
import type { CellSource } from "./source.js";

/** Groups of an AnnData file that no reader here takes anything of. */
export const UNREAD_GROUPS = ["obsm", "obsp", "varm", "varp", "uns"] as const;

type AnnDataContents = NonNullable<SourceContents["anndata"]>;

/** What an AnnData file has. */
export interface AnnDataMembers {
  readonly hasX: boolean;
  readonly layers: readonly string[];
  readonly raw: boolean;
  /** Those of `UNREAD_GROUPS` that are there. */
  readonly groups: readonly AnnDataPart[];
}

/** The contents of an AnnData file of which `chosen` names the matrix that is read. */
export function anndataContents(
  { hasX, layers, raw, groups }: AnnDataMembers,
  chosen: OpenOptions,
): AnnDataContents {
  const unread: AnnDataPart[] = [];
  const readsX = chosen.layer === undefined && chosen.raw !== true;
  if (hasX && !readsX) unread.push({ name: "X", members: [] });
  const others = layers.filter((layer) => layer !== chosen.layer);
  if (others.length > 0) unread.push({ name: "layers", members: others });
  if (raw && chosen.raw !== true) unread.push({ name: "raw", members: [] });
  // AnnData writes every group; empty ones hold nothing to miss.
  unread.push(...groups.filter(({ members }) => members.length > 0));
  return { layers, raw, unread };
}

/** The columns of a table of genes, the index first. */
export function geneColumnsOf(genes: Frame): GeneColumn[] {
  const first = genes.index.length > 0;
  return [
    { name: genes.indexName, example: genes.index[0] },
    ...Array.from(genes.columns, ([name, column]) => ({
      name,
      example: first ? (columnText(column, 0) ?? undefined) : undefined,
    })),
  ];
}

/** What any of several sources holds; undefined where none says. */
export function joinContents(sources: readonly Pick<CellSource, "contents">[]): SourceContents | undefined {
  const all = sources.flatMap(({ contents }) => contents ?? []);
  if (all.length === 0) return undefined;
  const columns = new Map<string, GeneColumn>();
  for (const column of all.flatMap(({ geneColumns }) => geneColumns))
    if (columns.get(column.name)?.example === undefined) columns.set(column.name, column);
  const files = all.flatMap(({ anndata }) => anndata ?? []);
  const geneColumns = [...columns.values()];
  if (files.length === 0) return { geneColumns };
  const unread = new Map<string, Set<string>>();
  for (const { name, members } of files.flatMap((file) => file.unread))
    unread.set(name, new Set([...(unread.get(name) ?? []), ...members]));
  return {
    geneColumns,
    anndata: {
      layers: [...new Set(files.flatMap(({ layers }) => layers))],
      raw: files.some(({ raw }) => raw),
      unread: Array.from(unread, ([name, members]) => ({ name, members: [...members] })),
    },
  };
}

/** Parts in words: "layers (counts), raw, obsm (X_pca, X_umap)". */
export function partsText(parts: readonly AnnDataPart[]): string {
  return parts
    .map(({ name, members }) => (members.length === 0 ? name : `${name} (${members.join(", ")})`))
    .join(", ");
}

/** A note on what is in a source's files and in nothing that is written from it; undefined if nothing is. */
export function leftOutNote({ contents }: Pick<CellSource, "contents">): string | undefined {
  const unread = contents?.anndata?.unread ?? [];
  if (unread.length === 0) return undefined;
  return `only one matrix and the tables of cells and genes are read; not in the output: ${partsText(unread)}`;
}
