import type { Members } from "../files/members.js";
import { COMPARED_NAMES } from "../genes/gene_names.js";
import { isUrl } from "../io/content.js";
import { rowRange } from "../sources/parts.js";
import type { CellSource } from "../sources/source.js";

/** Pairs of files that a note lists. */
const MOST_PAIRS = 3;
/** Of fewer names a file a comparison would say little, and each file must be read for it. */
const FEWEST_NAMES = 256;

/** The names of a source that were compared. */
interface Names {
  readonly source: string;
  readonly names: ReadonlySet<string>;
  /** Whether all its cells were looked at. */
  readonly whole: boolean;
  /** Whether every cell looked at has a name. */
  readonly named: boolean;
}

/** Two files by number, and the names that are in both. */
interface Pair {
  readonly first: number;
  readonly second: number;
  shared: number;
}

/**
 * Notes on cell names that occur in more than one of several sources: how many, which two agree in how many, and whether all cells
 * of one are in another. Of more than 131,072 cells together, as many of the first of each source are compared; of so many
 * sources that it would be fewer than 256 each, and of those at addresses, none.
 */
export async function sharedNameNotes(members: Members): Promise<string[]> {
  const { firstRow } = members.outlines;
  const local = [...firstRow.subarray(1).keys()].filter((member) => !isUrl(members.nameOf(member)));
  const total = local.reduce((cells, i) => cells + (firstRow[i + 1] ?? 0) - (firstRow[i] ?? 0), 0);
  const limit = total <= COMPARED_NAMES ? COMPARED_NAMES : Math.floor(COMPARED_NAMES / local.length);
  if (local.length < 2 || limit < FEWEST_NAMES) return [];
  const compared: Names[] = [];
  for (const member of local) compared.push(await members.use(member, (source) => namesOf(source, limit)));
  const { occurring, pairs } = comparePairs(compared);
  if (occurring === 0) return [];
  const said = pairs.slice(0, MOST_PAIRS).map((pair) => pairText(pair, compared));
  const rest = pairs.length > MOST_PAIRS ? "; ..." : "";
  const part = compared.every(({ whole }) => whole) ? "" : ` (of the first ${limit} cells of each compared)`;
  const count = occurring === 1 ? "one cell name occurs" : `${occurring} cell names occur`;
  return [
    `${count} in more than one file${part}: ${said.join("; ")}${rest}; cells that are there twice count twice, and held-out ` +
      "cells may then be trained on: name files that hold different cells",
  ];
}

/** The names of a source's first cells. Numbers of rows, as sources without names give them, say nothing and are left out. */
async function namesOf(source: CellSource, limit: number): Promise<Names> {
  const count = Math.min(source.cellCount, limit);
  const ids = await source.cellIds(rowRange(0, count));
  const names = ids.filter((id, row) => id !== `row ${row}` && id !== String(row));
  return {
    source: source.name,
    names: new Set(names),
    whole: count === source.cellCount,
    named: names.length === ids.length,
  };
}

/** How many names occur in more than one source, and the pairs that share some, those with the most first. */
function comparePairs(compared: readonly Names[]): { occurring: number; pairs: Pair[] } {
  const holders = new Map<string, number[]>();
  for (const [i, { names }] of compared.entries()) {
    for (const name of names) {
      const own = holders.get(name);
      if (own === undefined) holders.set(name, [i]);
      else own.push(i);
    }
  }
  const pairs = new Map<number, Pair>();
  let occurring = 0;
  for (const own of holders.values()) {
    if (own.length > 1) occurring++;
    for (const [place, second] of own.entries()) {
      for (const first of own.slice(0, place)) {
        const key = first * compared.length + second;
        const pair = pairs.get(key) ?? { first, second, shared: 0 };
        pair.shared++;
        pairs.set(key, pair);
      }
    }
  }
  return { occurring, pairs: [...pairs.values()].sort((a, b) => b.shared - a.shared) };
}

function pairText({ first, second, shared }: Pair, compared: readonly Names[]): string {
  const [a, b] = [compared[first], compared[second]];
  const within = (inner: Names | undefined): boolean => inner?.whole === true && inner.names.size === shared;
  if (a === undefined || b === undefined) return "";
  if (within(a) || within(b)) {
    const [inner, outer] = within(a) ? [a, b] : [b, a];
    return `all cells of ${inner.source} are in ${outer.source} (${shared}): they look like the same cells`;
  }
  return `${shared} in both ${a.source} and ${b.source}`;
}
