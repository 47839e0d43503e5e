import { DdscError } from "../../base/errors.js";
import { textPieces } from "../io/gzip_pieces.js";
import { PackedStrings } from "../sources/packed_strings.js";
import { textRecords } from "../text/delimited_records.js";
import type { TenxFeatures } from "./features.js";

const TAB = 9;
const COMMA = 44;
const MAX_GENES = 1 << 22;
const MAX_CELLS = 0x7fff_ffff;

/** The names of a matrix's cells and genes, a line each, and how they fit the matrix. */
export interface MatrixNames {
  readonly cells: PackedStrings;
  /** Place of the first cell's name among them: 1 after a line of headings. */
  readonly firstCell: number;
  readonly cellCount: number;
  readonly features: TenxFeatures;
  /** Whether cells are the columns of the matrix, as Cell Ranger writes it. */
  readonly cellsInColumns: boolean;
}

/**
 * Reads the files of names and finds out by their lengths which way the matrix lies; a line of headings before the names
 * is skipped where their number says that it is one. A square matrix is taken as Cell Ranger's: genes by cells.
 *
 * Throws `DATA_SHAPE` if they do not fit, `DATA_TOO_LARGE`, and what `textPieces` throws.
 */
export async function readMatrixNames(
  files: { readonly matrix: string; readonly cells: string; readonly genes: string },
  shape: { readonly rows: number; readonly columns: number },
): Promise<MatrixNames> {
  const cells = await readCells(files.cells);
  const features = await readFeatures(files.genes);
  const { rows, columns } = shape;
  for (const cellsInColumns of [true, false]) {
    const [cellCount, geneCount] = cellsInColumns ? [columns, rows] : [rows, columns];
    const cellHeadings = cells.length - cellCount;
    const geneHeadings = features.length - geneCount;
    if (cellHeadings < 0 || cellHeadings > 1 || geneHeadings < 0 || geneHeadings > 1) continue;
    return {
      cells,
      firstCell: cellHeadings,
      cellCount,
      features: featureColumns(features.slice(geneHeadings)),
      cellsInColumns,
    };
  }
  throw new DdscError(
    "DATA_SHAPE",
    `${files.matrix}: is ${rows} x ${columns} but ${files.cells} names ${cells.length} cells and ${files.genes} names ` +
      `${features.length} genes; use the files that were written together`,
    { file: files.matrix },
  );
}

async function readCells(path: string): Promise<PackedStrings> {
  const names = new PackedStrings();
  for await (const { bytes } of textRecords(textPieces(path), path)) {
    if (names.length === MAX_CELLS) {
      throw new DdscError("DATA_TOO_LARGE", `${path}: names more than 2^31 - 1 cells; split the data`, {
        file: path,
      });
    }
    let end = 0;
    while (end < bytes.length && bytes[end] !== TAB && bytes[end] !== COMMA) end++;
    names.push(unquoted(bytes.subarray(0, end)));
  }
  return names;
}

function unquoted(bytes: Buffer): Buffer {
  const quote = 34;
  return bytes.length >= 2 && bytes[0] === quote && bytes.at(-1) === quote ? bytes.subarray(1, -1) : bytes;
}

async function readFeatures(path: string): Promise<string[][]> {
  const features: string[][] = [];
  let separator: string | undefined;
  for await (const { bytes } of textRecords(textPieces(path), path)) {
    if (features.length === MAX_GENES) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${path}: names more than ${MAX_GENES} genes; is this the file of cells?`,
        {
          file: path,
        },
      );
    }
    const text = bytes.toString("utf8");
    separator ??= text.includes("\t") ? "\t" : ",";
    features.push(text.split(separator).map((field) => field.replace(/^"(.*)"$/, "$1")));
  }
  return features;
}

/** Columns as Cell Ranger orders them: identifier, symbol, type of feature. */
function featureColumns(features: readonly (readonly string[])[]): TenxFeatures {
  const column = (place: number): string[] | undefined =>
    features.some((fields) => fields.length > place)
      ? features.map((fields) => fields[place] ?? "")
      : undefined;
  const types = column(2);
  return {
    ids: column(0) ?? [],
    names: column(1),
    // Another third column, such as a biotype, says nothing about the kind of measurement.
    types: types?.includes("Gene Expression") === true ? types : undefined,
    genomes: undefined,
  };
}
