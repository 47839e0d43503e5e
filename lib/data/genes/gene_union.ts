import type { Gene } from "../sources/cells.js";
import type { CellSource } from "../sources/source.js";
import { GeneIndex } from "./gene_index.js";

/** The genes of several sources together. */
export interface GeneUnion {
  /** Those of the first source in its order, then those that are new in each other. */
  readonly genes: readonly Gene[];
  /** For each source the column of the union of each of its columns; undefined where they are the same. */
  readonly columns: readonly (Int32Array | undefined)[];
  /** What sources do not have in common, in words. */
  readonly notes: readonly string[];
}

/** Genes that a note names, and sources that have a note of their own. */
const MOST_NAMED = 3;
const MOST_NOTES = 5;

/**
 * Finds which genes of several sources are the same: by identifier, with Ensembl versions ignored, and by the other names
 * that a source gives (see `GeneIndex`). A name that could be several genes, or a second column of the same gene, stays
 * a gene of its own: nothing is left out.
 */
export function uniteGenes(sources: readonly Pick<CellSource, "name" | "genes">[]): GeneUnion {
  const lists: { readonly name: string; readonly genes: readonly Gene[]; readonly columns: Int32Array }[] =
    [];
  let union: Gene[] = [];
  const columns = sources.map(({ name, genes }) => {
    // Shards of one data set have the same genes, most often.
    const same = lists.find((list) => sameGenes(list.genes, genes));
    if (same !== undefined) return same.columns;
    const joined = joinGenes(union, genes);
    union = joined.union;
    lists.push({ name, genes, columns: joined.columns });
    return joined.columns;
  });
  const isSame = (own: Int32Array) => own.length === union.length && own.every((column, i) => column === i);
  return {
    genes: union,
    columns: columns.map((own) => (isSame(own) ? undefined : own)),
    notes: describe(union, lists),
  };
}

function sameGenes(a: readonly Gene[], b: readonly Gene[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  return a.every((gene, i) => {
    const other = b[i];
    return gene.id === other?.id && gene.aliases.join("\n") === other.aliases.join("\n");
  });
}

function joinGenes(
  union: readonly Gene[],
  genes: readonly Gene[],
): { readonly union: Gene[]; readonly columns: Int32Array } {
  const joined = [...union];
  const taken = new Set(union.map(({ id }) => id));
  const known = new GeneIndex(union.map(({ id: token, aliases }, id) => ({ id, token, aliases })));
  const { ids } = known.match(genes);
  const columns = Int32Array.from(genes, (gene, column) => {
    const found = ids[column] ?? -1;
    const same = joined[found];
    if (same !== undefined) {
      const aliases = new Set([...same.aliases, gene.id, ...gene.aliases]);
      aliases.delete(same.id);
      joined[found] = { id: same.id, aliases: [...aliases] };
      return found;
    }
    const id = freeName(gene.id, taken);
    taken.add(id);
    return joined.push({ id, aliases: gene.aliases }) - 1;
  });
  return { union: joined, columns };
}

function freeName(id: string, taken: ReadonlySet<string>): string {
  if (!taken.has(id)) return id;
  let suffix = 1;
  while (taken.has(`${id}-${suffix}`)) suffix++;
  return `${id}-${suffix}`;
}

function describe(
  union: readonly Gene[],
  lists: readonly { readonly name: string; readonly columns: Int32Array }[],
): string[] {
  if (lists.length < 2) return [];
  const holders = new Int32Array(union.length);
  for (const { columns } of lists) for (const column of columns) holders[column] = (holders[column] ?? 0) + 1;
  const shared = holders.reduce((count, held) => count + Number(held === lists.length), 0);
  const notes = [`${union.length} genes together, ${shared} of them in all ${lists.length} lists of genes`];
  for (const { name, columns } of lists.slice(0, MOST_NOTES)) {
    const own = [...columns].filter((column) => holders[column] === 1);
    const lacking = union.length - columns.length;
    const named = own.slice(0, MOST_NAMED).map((column) => union[column]?.id ?? "");
    const alone =
      own.length === 0
        ? ""
        : `, ${own.length} of its genes are in no other: ${named.join(", ")}${own.length > MOST_NAMED ? ", ..." : ""}`;
    notes.push(`${name}: ${lacking} of the genes are not in it${alone}`);
  }
  return notes;
}
