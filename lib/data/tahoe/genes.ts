import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LRUCache } from "lru-cache";
import { DdscError } from "../../base/errors.js";
import { isObject, parseJson } from "../../base/json.js";
import { isUrl } from "../io/content.js";
import type { RandomAccess } from "../io/random_access.js";
import { openRandomAccess } from "../io/random_access_open.js";
import { besideS3, isS3 } from "../io/s3/address.js";
import { ParquetFile } from "../parquet/file.js";
import { MAGIC } from "../parquet/format.js";
import { columnKind, readFlatColumn } from "../parquet/text.js";
import { type Column, columnText, type Frame, takeRows } from "../sources/frame.js";
import { FIRST_TOKEN } from "./layout.js";

/** Genes behind the tokens of a file. */
export interface TokenGenes {
  /** Table of genes by ascending token. */
  readonly frame: Frame;
  /** Row of the table of each token, -1 where it names no gene. */
  readonly columnOf: Int32Array;
}

/** Where the table is looked for, from the file's folder. */
const PLACES = [
  "gene_metadata.parquet",
  "../metadata/gene_metadata.parquet",
  "../gene_metadata.parquet",
  "vocab.json",
];
const TOKEN_COLUMNS = ["token_id", "token", "gene_token"];
const ID_COLUMNS = ["ensembl_id", "gene_id", "feature_id", "gene_symbol", "symbol", "gene"];
const MAX_TOKEN = 2 ** 24;
const MAX_JSON = 2 ** 28;
const KEPT_TABLES = 4;

/** Tables read lately, by name, length and date: the shards of a folder share one. */
const kept = new LRUCache<string, Promise<TokenGenes>>({ max: KEPT_TABLES });

/** Where the tables of folders at addresses were found lately. */
const places = new LRUCache<string, Promise<string>>({ max: 64 });

/** Whether columns of numbers with these names are those of a table of genes, which holds no cells. */
export function areTokenColumns(names: readonly string[]): boolean {
  return names.every((name) => TOKEN_COLUMNS.includes(name));
}

/**
 * Finds and reads the table of genes of a file with gene tokens: `geneTable`, or what lies beside the file. Throws
 * `DATA_MISSING_GENES` where there is none, `DATA_MISSING_COLUMN`, `DATA_CORRUPT`, `DATA_FORMAT`, and what opening a file throws.
 */
export async function readTokenGenes(path: string, geneTable: string | undefined): Promise<TokenGenes> {
  const table = geneTable ?? (await tableBeside(path));
  const key = isUrl(table) ? table : `${table}\n${await version(table)}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const genes = readTable(table);
  kept.set(key, genes);
  genes.catch(() => kept.delete(key));
  return genes;
}

async function version(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return `${found?.size} ${found?.mtimeMs}`;
}

/** As `findTable`; at addresses, where looking takes requests, once a folder. */
function tableBeside(path: string): Promise<string> {
  if (!isUrl(path)) return findTable(path);
  const folder = beside(path, ".");
  const known = places.get(folder);
  if (known !== undefined) return known;
  const table = findTable(path);
  places.set(folder, table);
  table.catch(() => places.delete(folder));
  return table;
}

/** The first place beside a file where there is a table. */
async function findTable(path: string): Promise<string> {
  const denied: string[] = [];
  for (const place of PLACES) {
    const candidate = beside(path, place);
    const found = await look(candidate);
    if (found === "there") return candidate;
    if (found === "denied") denied.push(candidate);
  }
  if (denied.length > 0) {
    throw new DdscError(
      "DATA_MISSING_GENES",
      `${path}: holds gene tokens, but the table that names them may not be read, or is not there: ${denied.join(", ")}; pass its own address as geneTable`,
      { file: path, argument: "geneTable" },
    );
  }
  throw new DdscError(
    "DATA_MISSING_GENES",
    `${path}: holds gene tokens, but there is no gene_metadata.parquet or vocab.json beside it to name them; put it there, or pass geneTable`,
    { file: path, argument: "geneTable" },
  );
}

function beside(path: string, place: string): string {
  if (isS3(path)) return besideS3(path, place);
  return isUrl(path) ? new URL(place, path).href : join(dirname(path), place);
}

/** Whether there is a table. Services of objects deny what is not there to those that may not list. */
async function look(path: string): Promise<"there" | "absent" | "denied"> {
  try {
    (await openRandomAccess(path)).close();
    return "there";
  } catch (error) {
    if (error instanceof DdscError && error.code === "DATA_NOT_FOUND") return "absent";
    if (error instanceof DdscError && error.code === "DATA_ACCESS_DENIED") return "denied";
    throw error;
  }
}

async function readTable(path: string): Promise<TokenGenes> {
  const file = await openRandomAccess(path);
  try {
    const start = await file.read(0, Math.min(MAGIC.length, file.size));
    return MAGIC.equals(start) ? await readParquetTable(file) : await readJsonTable(file);
  } finally {
    file.close();
  }
}

async function readParquetTable(access: RandomAccess): Promise<TokenGenes> {
  const file = await ParquetFile.open(access);
  const { leaves, rowGroups } = file.footer;
  const columns = new Map<string, Column[]>();
  for (const [leaf, shape] of leaves.entries()) {
    const kind = columnKind(shape);
    if (kind === undefined || kind === "boolean") continue;
    const pieces: Column[] = [];
    for (const [group, rows] of rowGroups.rows.entries())
      pieces.push(await readFlatColumn(file, leaf, { group, first: 0, count: rows }));
    columns.set(shape.path.join("."), pieces);
  }
  const find = (names: readonly string[], what: string): string => {
    const found = names.find((name) => columns.has(name));
    if (found !== undefined) return found;
    throw new DdscError(
      "DATA_MISSING_COLUMN",
      `${file.name}: has no column of ${what} (${names.join(", ")}); it has ${[...columns.keys()].join(", ")}`,
      { file: file.name },
    );
  };
  const tokenColumn = find(TOKEN_COLUMNS, "gene tokens");
  const idColumn = find(ID_COLUMNS, "gene identifiers");
  const tokens = textOf(columns.get(tokenColumn) ?? []).map(Number);
  const texts = [...columns]
    .filter(([name]) => name !== tokenColumn)
    .map(([name, pieces]) => [name, textOf(pieces)] as const);
  return orderGenes(file.name, tokens, idColumn, new Map(texts));
}

function textOf(pieces: readonly Column[]): string[] {
  return pieces.flatMap((piece) => {
    const length = piece.kind === "categories" ? piece.codes.length : piece.values.length;
    return Array.from({ length }, (_, row) => columnText(piece, row) ?? "");
  });
}

async function readJsonTable(file: RandomAccess): Promise<TokenGenes> {
  const bad = (cause?: unknown) =>
    new DdscError(
      "DATA_FORMAT",
      `${file.name}: is neither Parquet nor JSON of {name: token}`,
      { file: file.name },
      { cause },
    );
  if (file.size > MAX_JSON) throw bad();
  let table: unknown;
  try {
    table = parseJson(await file.read(0, file.size));
  } catch (error) {
    throw error instanceof DdscError ? error : bad(error);
  }
  if (!isObject(table)) throw bad();
  const genes = Object.entries(table).filter(([name]) => !/^<.*>$/.test(name));
  const ids = genes.map(([name]) => name);
  return orderGenes(
    file.name,
    genes.map(([, token]) => (typeof token === "number" ? token : Number.NaN)),
    "_index",
    new Map([["_index", ids]]),
  );
}

/** The table by ascending token; special tokens left out. */
function orderGenes(
  name: string,
  tokens: readonly number[],
  idColumn: string,
  columns: ReadonlyMap<string, readonly string[]>,
): TokenGenes {
  const fail = (what: string) => new DdscError("DATA_CORRUPT", `${name}: ${what}`, { file: name });
  for (const token of tokens) {
    if (!Number.isInteger(token) || token < 0 || token > MAX_TOKEN)
      throw fail(`gene token ${token} is no whole number from 0 to ${MAX_TOKEN}`);
  }
  const order = Int32Array.from(tokens.keys()).filter((row) => (tokens[row] ?? 0) >= FIRST_TOKEN);
  order.sort((a, b) => (tokens[a] ?? 0) - (tokens[b] ?? 0));
  const sorted = order.map((row) => tokens[row] ?? 0);
  const columnOf = new Int32Array((sorted.at(-1) ?? 0) + 1).fill(-1);
  for (const [column, token] of sorted.entries()) {
    if (columnOf[token] !== -1) throw fail(`two genes have the token ${token}`);
    columnOf[token] = column;
  }
  const texts = [...columns].map(
    ([column, values]) => [column, takeRows({ kind: "strings", values }, order)] as const,
  );
  const named = new Map<string, Column>(texts);
  const index = named.get(idColumn);
  named.delete(idColumn);
  return {
    frame: { index: index?.kind === "strings" ? index.values : [], indexName: idColumn, columns: named },
    columnOf,
  };
}
