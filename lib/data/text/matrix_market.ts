import { readdir, stat } from "node:fs/promises";
import { basename } from "node:path";
import { DdscError } from "../../base/errors.js";
import type { Content } from "../io/content.js";
import { textHead } from "../io/gzip_pieces.js";
import type { OpenOptions } from "../sources/cells.js";
import { type CompactRows, CompactRowsWriter, type EntryBatch } from "../sources/compact_rows.js";
import { openCompactCells } from "../sources/compact_source.js";
import type { FileSource } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { genomeNote, missingGenome, type SelectedGenes, selectGenes } from "../tenx/features.js";
import {
  filesOfMatrix,
  isNamesFile,
  matricesIn,
  matrixNames,
  onlyMatrix,
} from "../tenx/matrix_market_files.js";
import { type MatrixNames, readMatrixNames } from "../tenx/matrix_market_names.js";
import { type MatrixMarketFile, openMatrixMarket } from "./matrix_market_entries.js";

/**
 * Matrix Market folders and files, plain or gzipped: those of Cell Ranger 2 (genes.tsv) and 3 (features.tsv.gz), those of
 * GEO with a prefix before the names, and others of cells and genes with files of their names.
 */
export const matrixMarket: CellFormat = {
  name: "Matrix Market (matrix.mtx with barcodes and features, or their folder)",
  takes: ["genome"],
  matches: matchesMatrix,
  open: openMatrixCells,
  isCompanion: isNamesFile,
};

async function matchesMatrix(content: Content, { genome }: OpenOptions): Promise<boolean> {
  if (content.kind === "file")
    return textHead(content.head).subarray(0, 14).equals(Buffer.from("%%MatrixMarket"));
  if (content.kind === "url") return false;
  // Several matrices in one folder are several sources, as are a matrix and other files of cells beside it.
  if (matrixNames(content.names).length > 0) return onlyMatrix(content.names) !== undefined;
  return (await matricesIn(content.path, content.names, genome)).length > 0;
}

/**
 * Opens the cells of a matrix file, of a folder with one, or of a folder of genomes (`options.genome`, by default the one
 * with the most counts). Reads the matrix once: see `CompactRowsWriter` for where it is kept.
 *
 * Throws what `openMatrixMarket` and its batches throw, what `filesOfMatrix`, `readMatrixNames` and `selectGenes` throw, and
 * `DATA_MISSING_GENOME`.
 */
export async function openMatrixCells(path: string, options: OpenOptions = {}): Promise<FileSource> {
  const notes: string[] = [];
  const files = await filesOfMatrix(await chooseMatrix(path, options.genome, notes));
  const file = await openMatrixMarket(files.matrix);
  let rows: CompactRows;
  let names: MatrixNames;
  let genes: SelectedGenes;
  try {
    names = await readMatrixNames(files, file);
    genes = selectGenes(names.features, files.genes);
    rows = await readMatrix(file, names, genes.geneOf);
  } finally {
    await file.close();
  }
  return openCompactCells({
    path,
    options,
    rows,
    names: names.cells,
    firstName: names.firstCell,
    indexName: "_index",
    metadataColumns: [],
    metadata: new Map(),
    genes: genes.frame,
    notes: [...notes, ...genes.notes],
  });
}

/** The matrix file that `path` stands for. */
async function chooseMatrix(path: string, genome: string | undefined, notes: string[]): Promise<string> {
  if (!(await stat(path)).isDirectory()) return path;
  const found = await matricesIn(
    path,
    (await readdir(path)).filter((name) => !name.startsWith(".")).sort(),
    genome,
  );
  const [only, ...others] = found;
  if (only === undefined) {
    throw new DdscError("DATA_NOT_FOUND", `${path}: holds no Matrix Market file (.mtx or .mtx.gz)`, {
      file: path,
    });
  }
  const genomes = found.map((matrix) => matrix.genome ?? basename(matrix.matrix));
  if (genome !== undefined && only.genome !== undefined) {
    const chosen = found.find((matrix) => matrix.genome === genome);
    if (chosen === undefined) throw missingGenome(path, genome, genomes);
    return chosen.matrix;
  }
  if (others.length === 0) return only.matrix;
  let most = { entries: -1, matrix: only.matrix, genome: genomes[0] ?? "" };
  for (const [i, { matrix }] of found.entries()) {
    const file = await openMatrixMarket(matrix);
    await file.close();
    if (file.entries > most.entries) most = { entries: file.entries, matrix, genome: genomes[i] ?? "" };
  }
  notes.push(genomeNote(most.genome, genomes));
  return most.matrix;
}

/** The matrix by cells, without the features that have no gene. */
async function readMatrix(
  file: MatrixMarketFile,
  { cellsInColumns, cellCount }: MatrixNames,
  geneOf: Int32Array | undefined,
): Promise<CompactRows> {
  const writer = new CompactRowsWriter();
  try {
    for await (const batch of file.batches()) {
      const { rows, columns, values, count } = batch;
      const byCell: EntryBatch = cellsInColumns ? { rows: columns, columns: rows, values, count } : batch;
      await writer.add(geneOf === undefined ? byCell : withGenes(byCell, geneOf));
    }
    return await writer.finish(cellCount);
  } catch (error) {
    writer[Symbol.dispose]();
    throw error;
  }
}

/** The entries of features that are genes, numbered as those; in the same arrays. */
function withGenes({ rows, columns, values, count }: EntryBatch, geneOf: Int32Array): EntryBatch {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const gene = geneOf[columns[i] ?? 0] ?? -1;
    if (gene < 0) continue;
    rows[kept] = rows[i] ?? 0;
    columns[kept] = gene;
    values[kept++] = values[i] ?? 0;
  }
  return { rows, columns, values, count: kept };
}
