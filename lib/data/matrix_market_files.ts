import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DdscError } from "../errors.js";

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

/**
 * The matrices of a folder: those in it, or one in each of its folders where it holds nothing but folders (Cell Ranger 2
 * makes one a genome). `genome` is the folder's name.
 */
export async function matricesIn(
  folder: string,
  names: readonly string[],
): Promise<{ matrix: string; genome: string | undefined }[]> {
  const own = matrixNames(names);
  if (own.length > 0) return own.map((name) => ({ matrix: join(folder, name), genome: undefined }));
  if (names.length === 0 || names.length > MAX_GENOMES) return [];
  const found: { matrix: string; genome: string }[] = [];
  for (const genome of names) {
    const inside = await readdir(join(folder, genome)).catch(() => []);
    const [matrix, ...others] = matrixNames(inside);
    if (matrix === undefined || others.length > 0) return [];
    found.push({ matrix: join(folder, genome, matrix), genome });
  }
  return found;
}
