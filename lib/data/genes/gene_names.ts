import type { Gene } from "../sources/cells.js";
import { columnText, type Frame } from "../sources/frame.js";

/** Columns of var that hold other names of a gene, as common tools call them; compared in lower case. */
const NAME_COLUMNS = new Set([
  "_index",
  "ensembl",
  "ensembl_id",
  "ensembl_ids",
  "feature_id",
  "feature_name",
  "features",
  "gene",
  "gene_id",
  "gene_ids",
  "gene_name",
  "gene_names",
  "gene_short_name",
  "gene_symbol",
  "gene_symbols",
  "genes",
  "hgnc_symbol",
  "index",
  "mgi_symbol",
  "name",
  "symbol",
  "symbols",
]);

const SAMPLE = 64;
const ENSEMBL = /^ENS[A-Z]*G\d{6,}/;
const MAX_NAMED = 5;
/** Names of at most so many cells are looked through for some that occur twice, in a file or in several. */
export const COMPARED_NAMES = 1 << 17;

/**
 * Makes identifiers unique as AnnData's `var_names_make_unique` does: the first of equals keeps its name, the
 * others get `-1`, `-2`, ... (skipping names that exist). `note` names what was changed; undefined if nothing.
 */
export function uniqueIds(ids: readonly string[]): { ids: string[]; note: string | undefined } {
  const taken = new Set(ids);
  const seen = new Set<string>();
  const counters = new Map<string, number>();
  const renamed: string[] = [];
  const result = ids.map((id) => {
    if (!seen.has(id)) {
      seen.add(id);
      return id;
    }
    let counter = counters.get(id) ?? 1;
    while (taken.has(`${id}-${counter}`)) counter++;
    counters.set(id, counter + 1);
    const unique = `${id}-${counter}`;
    taken.add(unique);
    renamed.push(`${id} (now ${unique})`);
    return unique;
  });
  if (renamed.length === 0) return { ids: result, note: undefined };
  const named = renamed.slice(0, MAX_NAMED).join(", ") + (renamed.length > MAX_NAMED ? ", ..." : "");
  const count =
    renamed.length === 1
      ? "one duplicated gene identifier was"
      : `${renamed.length} duplicated gene identifiers were`;
  return { ids: result, note: `${count} told apart by a suffix: ${named}` };
}

/** A note naming the cell names that occur more than once; undefined if all differ. */
export function duplicateCellNote(ids: readonly string[]): string | undefined {
  // Made of all at once in a third of the time.
  if (new Set(ids).size === ids.length) return undefined;
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const id of ids) {
    if (seen.has(id)) repeated.add(id);
    seen.add(id);
  }
  const named = [...repeated].slice(0, MAX_NAMED).join(", ") + (repeated.size > MAX_NAMED ? ", ..." : "");
  const count = repeated.size === 1 ? "one cell name occurs" : `${repeated.size} cell names occur`;
  return `${count} more than once: ${named}; cells are told apart by row`;
}

/** True for a column of text whose name or values say that it names genes. */
function namesGenes(name: string, frame: Frame): boolean {
  const column = frame.columns.get(name);
  if (column === undefined || column.kind === "numbers" || column.kind === "booleans") return false;
  if (column.kind === "categories" && column.categories.kind !== "strings") return false;
  if (NAME_COLUMNS.has(name.toLowerCase())) return true;
  const count = Math.min(SAMPLE, frame.index.length);
  let matches = 0;
  for (let row = 0; row < count; row++) if (ENSEMBL.test(columnText(column, row) ?? "")) matches++;
  return count > 0 && matches > count / 2;
}

/** Genes of tables that are in use: the files of a folder may share one, and then its genes, too. */
const known = new WeakMap<Frame, Map<string | undefined, { genes: Gene[]; note: string | undefined }>>();

/**
 * Genes of a var table. Identifiers come from `geneColumn` (which must exist) or the index; other names from
 * the index and the columns of text that hold identifiers or symbols.
 */
export function genesOf(frame: Frame, geneColumn?: string): { genes: Gene[]; note: string | undefined } {
  const own = known.get(frame) ?? new Map();
  known.set(frame, own);
  const found = own.get(geneColumn) ?? makeGenes(frame, geneColumn);
  own.set(geneColumn, found);
  return found;
}

function makeGenes(
  frame: Frame,
  geneColumn: string | undefined,
): { genes: Gene[]; note: string | undefined } {
  const own = geneColumn === undefined ? undefined : frame.columns.get(geneColumn);
  const names = frame.index.map((name, row) => (own === undefined ? name : (columnText(own, row) ?? name)));
  const { ids, note } = uniqueIds(names);
  const columns = [...frame.columns]
    .filter(([name]) => name !== geneColumn && namesGenes(name, frame))
    .map(([, column]) => column);
  const genes = ids.map((id, row) => {
    const aliases = new Set<string>([frame.index[row] ?? ""]);
    for (const column of columns) aliases.add(columnText(column, row) ?? "");
    aliases.delete("");
    aliases.delete(id);
    return { id, aliases: [...aliases] };
  });
  return { genes, note };
}
