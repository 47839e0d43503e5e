import { DdscError } from "../../base/errors.js";
import { PackedStrings } from "../sources/packed_strings.js";
import { checkNameLength, forEachLine, MAX_EMPTY_LINES, tooManyEmptyLines } from "../text/lines.js";
import type { TenxFeatures } from "./features.js";

const TAB = 9;
const COMMA = 44;
const MAX_GENES = 1 << 22;
/** Identifier, symbol and type of a feature; what a line has after them is not kept. */
const FEATURE_FIELDS = 3;
/** Names beyond twice as many as a matrix has, after which the rest of them is not counted any more. */
const LINES_LEFT_OVER = 1 << 20;

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
 * Throws `DATA_SHAPE` if they do not fit, `DATA_TOO_LARGE`, and what `forEachLine` throws.
 */
export async function readMatrixNames(
  files: { readonly matrix: string; readonly cells: string; readonly genes: string },
  shape: { readonly rows: number; readonly columns: number },
): Promise<MatrixNames> {
  const { rows, columns } = shape;
  const most = 2 * Math.max(rows, columns) + LINES_LEFT_OVER;
  const cells = await readCells(files.cells, most);
  const features = await readFeatures(files.genes, most);
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
    `${files.matrix}: is ${rows} x ${columns} but ${files.cells} names ${counted(cells.length, most)} cells and ${files.genes} names ` +
      `${counted(features.length, most)} genes; use the files that were written together`,
    { file: files.matrix },
  );
}

/** A number of names, of which those beyond `most` were not counted. */
function counted(names: number, most: number): string {
  return names > most ? `more than ${most}` : String(names);
}

async function readCells(path: string, most: number): Promise<PackedStrings> {
  const names = new PackedStrings();
  let empty = 0;
  await forEachLine(path, (line) => {
    let end = 0;
    while (end < line.length && line[end] !== TAB && line[end] !== COMMA) end++;
    checkNameLength(path, end);
    if (end === 0 && ++empty > MAX_EMPTY_LINES) throw tooManyEmptyLines(path);
    names.push(unquoted(line.subarray(0, end)));
    return names.length <= most;
  });
  return names;
}

function unquoted(bytes: Buffer): Buffer {
  const quote = 34;
  return bytes.length >= 2 && bytes[0] === quote && bytes.at(-1) === quote ? bytes.subarray(1, -1) : bytes;
}

async function readFeatures(path: string, most: number): Promise<string[][]> {
  const features: string[][] = [];
  let separator: string | undefined;
  await forEachLine(path, (line) => {
    if (features.length === MAX_GENES) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${path}: names more than ${MAX_GENES} genes; is this the file of cells?`,
        { file: path },
      );
    }
    const text = line.toString("utf8");
    separator ??= text.includes("\t") ? "\t" : ",";
    const fields = text.split(separator, FEATURE_FIELDS);
    for (const field of fields) checkNameLength(path, field.length);
    features.push(fields.map((field) => field.replace(/^"(.*)"$/, "$1")));
    return features.length <= most;
  });
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
