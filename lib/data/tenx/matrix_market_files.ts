import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";

const MATRIX = /\.mtx(\.gz)?$/i;
const CELLS = ["barcodes", "cells"];
const GENES = ["features", "genes"];
const EXTENSIONS = [".tsv", ".txt", ".csv"];
/** A folder of genomes has few folders; with more it is something else. */
const MAX_GENOMES = 32;

/** The files of a matrix. */
export interface MatrixFiles {
  readonly matrix: string;
  /** Names of the cells. */
  readonly cells: string;
  /** Names of the genes. */
  readonly genes: string;
}

/** Names of the Matrix Market files among the names in a folder. */
export function matrixNames(names: readonly string[]): string[] {
  return names.filter((name) => MATRIX.test(name));
}

/** Whether a file of this name goes with a matrix and holds no cells itself. */
export function isNamesFile(name: string): boolean {
  const stem = name.replace(/\.gz$/, "").replace(/\.(tsv|txt|csv)$/, "");
  return (
    stem !== name &&
    [...CELLS, ...GENES].some((role) => stem === role || new RegExp(`[._-]${role}$`).test(stem))
  );
}

/**
 * The files that go with a matrix: `barcodes` and `features` (or `genes`), as .tsv, .txt or .csv, plain or gzipped, with
 * what comes before "matrix" in the matrix's name, or its whole name, before theirs. Throws `DATA_NOT_FOUND` naming what
 * was looked for.
 */
export async function filesOfMatrix(matrix: string): Promise<MatrixFiles> {
  const folder = dirname(matrix);
  const names = new Set(await readdir(folder));
  const stem = basename(matrix).replace(MATRIX, "");
  const prefixes = [`${stem}.`, `${stem}_`, `${stem}-`];
  if (stem.endsWith("matrix")) prefixes.unshift(stem.slice(0, -"matrix".length));
  // Files without a prefix belong to a matrix that is alone.
  if (matrixNames([...names]).length === 1) prefixes.push("");
  const find = (roles: readonly string[], what: string): string => {
    for (const prefix of prefixes) {
      for (const role of roles) {
        for (const extension of EXTENSIONS) {
          for (const name of [`${prefix}${role}${extension}`, `${prefix}${role}${extension}.gz`]) {
            if (names.has(name)) return join(folder, name);
          }
        }
      }
    }
    const wanted = `${prefixes[0] ?? ""}${roles[0] ?? ""}.tsv`;
    throw new DdscError(
      "DATA_NOT_FOUND",
      `${matrix}: there is no file of its ${what} beside it, such as ${wanted} or ${wanted}.gz; put it there`,
      { file: matrix },
    );
  };
  return { matrix, cells: find(CELLS, "cells' names"), genes: find(GENES, "genes' names") };
}

/** A matrix of a folder; `genome` is the name of its own folder, where each genome has one. */
export interface FolderMatrix {
  readonly matrix: string;
  readonly genome: string | undefined;
}

/** The name of the matrix in a folder that holds one matrix with its files of names and nothing else. */
export function onlyMatrix(names: readonly string[]): string | undefined {
  const [matrix, ...others] = names.filter((name) => !isNamesFile(name));
  return matrix !== undefined && others.length === 0 && MATRIX.test(matrix) ? matrix : undefined;
}

/**
 * The matrices of a folder that are of one sample: the one in it, or one in each of its folders where it holds nothing but
 * folders and each is a genome: as Cell Ranger 2 makes them, of the same cells and other genes, or such that one has the name
 * `genome`, which somebody asked for. None where there are several samples.
 */
export async function matricesIn(
  folder: string,
  names: readonly string[],
  genome: string | undefined,
): Promise<FolderMatrix[]> {
  const own = matrixNames(names);
  if (own.length > 0) return own.map((name) => ({ matrix: join(folder, name), genome: undefined }));
  if (names.length === 0 || names.length > MAX_GENOMES) return [];
  const found: { matrix: string; genome: string }[] = [];
  for (const name of names) {
    const inside = await readdir(join(folder, name)).catch(() => []);
    const matrix = onlyMatrix(inside.filter((file) => !file.startsWith(".")));
    if (matrix === undefined) return [];
    found.push({ matrix: join(folder, name, matrix), genome: name });
  }
  const asked = found.some((matrix) => matrix.genome === genome);
  return found.length === 1 || asked || (await areGenomes(found)) ? found : [];
}

/** Whether matrices are of one sample's genomes as Cell Ranger 2 writes them: files `genes`, equal barcodes, genes that differ. */
async function areGenomes(matrices: readonly FolderMatrix[]): Promise<boolean> {
  const files: MatrixFiles[] = [];
  for (const { matrix } of matrices) {
    const own = await filesOfMatrix(matrix).catch(() => undefined);
    if (own === undefined || !basename(own.genes).startsWith("genes.")) return false;
    files.push(own);
  }
  const distinct = async (paths: readonly string[]): Promise<number> => {
    const digests = new Set<string>();
    for (const path of paths) digests.add(await textDigest(path));
    return digests.size;
  };
  const cells = files.map((own) => own.cells);
  const genes = files.map((own) => own.genes);
  return (await distinct(genes)) === files.length && (await distinct(cells)) === 1;
}

/** What tells the text of a file apart from others, compressed or not. */
async function textDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of textPieces(path)) hash.update(piece);
  return hash.digest("hex");
}
