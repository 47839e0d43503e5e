import { DdscError } from "../../base/errors.js";
import { MAX_EXTENT, type MatrixShape } from "../anndata/matrix.js";
import { openRows } from "../anndata/sparse.js";
import { Hdf5File } from "../hdf5/file.js";
import { type Hierarchy, lengthOf, stringsAt } from "../hierarchy.js";
import type { OpenOptions } from "../sources/cells.js";
import { FileSource, namesOnly } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { toFloat64 } from "../sources/number_array.js";
import { genomeNote, keepGenes, missingGenome, selectGenes, type TenxFeatures } from "./features.js";

/** HDF5 files of Cell Ranger 2 (a group a genome) and 3 or later (a group `matrix` with types of features). */
export const tenxH5: CellFormat = {
  name: "10x HDF5 (.h5)",
  takes: ["genome"],
  matches: async (content) => {
    if (content.kind !== "file" || !content.hdf5) return false;
    try {
      using file = await Hdf5File.open(content.path);
      return (await groupsOf(file)).length > 0;
    } catch {
      // Damaged files are told apart by the format that all other HDF5 files belong to.
      return false;
    }
  },
  open: openTenxH5,
};

/** Members of a group that Cell Ranger writes; its columns are cells, so compressed columns are compressed rows of cells. */
const MEMBERS = ["barcodes", "data", "indices", "indptr", "shape"];

/**
 * Opens a file of Cell Ranger. `options.genome` keeps one genome's genes; of the several matrices of a file of
 * Cell Ranger 2, the one with the most counts is taken by default.
 *
 * Throws `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_SHAPE`, `DATA_TYPE`, `DATA_TOO_LARGE`, `DATA_MISSING_GENOME`,
 * `DATA_MISSING_MATRIX` (no gene expression), and the errors of the first cells.
 */
export async function openTenxH5(path: string, options: OpenOptions = {}): Promise<FileSource> {
  const file = await Hdf5File.open(path);
  try {
    const notes: string[] = [];
    const group = await chooseGroup(file, options.genome, notes);
    const shape = await shapeOf(file, group);
    const features = await readFeatures(file, group, shape.columns);
    const genome = features.genomes === undefined ? undefined : options.genome;
    const genes = selectGenes(features, path, genome);
    const matrix = await openRows(file, group, shape);
    const barcodes = await file.array(`${group}/barcodes`);
    checkLength(file, barcodes.path, lengthOf(file, barcodes), shape.rows, "cells");
    const { geneOf } = genes;
    return await FileSource.open({
      path,
      options,
      cellCount: shape.rows,
      matrix: {
        read: async (rows, signal) => {
          const raw = await matrix.read(rows, signal);
          return geneOf === undefined ? raw : keepGenes(raw, geneOf);
        },
        // Of some genes alone nothing is told.
        ...(geneOf === undefined && matrix.storedCounts !== undefined
          ? { storedCounts: matrix.storedCounts }
          : {}),
      },
      cells: { ...namesOnly(undefined), ids: (rows) => stringsAt(barcodes, rows) },
      genes: genes.frame,
      partBounds: matrix.partBounds,
      notes: [...notes, ...genes.notes],
      remedy: "",
      close: () => file[Symbol.dispose](),
    });
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** The groups of the file that hold a matrix: `matrix` of Cell Ranger 3, otherwise one a genome. */
async function groupsOf(file: Hierarchy): Promise<string[]> {
  const groups: string[] = [];
  for (const name of await file.members("/")) {
    if ((await file.kind(`/${name}`)) !== "group") continue;
    const members = await file.members(`/${name}`);
    const features = members.includes("features") || members.includes("genes");
    if (features && MEMBERS.every((member) => members.includes(member))) groups.push(name);
  }
  return groups.includes("matrix") ? ["matrix"] : groups.sort();
}

async function chooseGroup(file: Hierarchy, genome: string | undefined, notes: string[]): Promise<string> {
  const groups = await groupsOf(file);
  const [first, ...others] = groups;
  if (first === undefined) throw file.corrupt("/", "holds no matrix of Cell Ranger");
  if (first === "matrix") return "/matrix";
  if (genome !== undefined) {
    if (!groups.includes(genome)) throw missingGenome(file.path, genome, groups);
    return `/${genome}`;
  }
  if (others.length === 0) return `/${first}`;
  const counts: number[] = [];
  for (const group of groups) counts.push(lengthOf(file, await file.array(`/${group}/data`)));
  const most = groups[counts.indexOf(Math.max(...counts))] ?? first;
  notes.push(genomeNote(most, groups));
  return `/${most}`;
}

/** Cells by features; the file has it the other way round. */
async function shapeOf(file: Hierarchy, group: string): Promise<MatrixShape> {
  const array = await file.array(`${group}/shape`);
  const shape = toFloat64(await array.numbers(0, lengthOf(file, array)));
  const [columns, rows] = shape;
  const good = [columns, rows].every(
    (extent) => extent !== undefined && Number.isInteger(extent) && extent >= 0 && extent <= MAX_EXTENT,
  );
  if (columns !== undefined && rows !== undefined && shape.length === 2 && good) return { rows, columns };
  throw file.corrupt(
    array.path,
    `[${[...shape.subarray(0, 4)].join(", ")}] is no shape of features by cells`,
  );
}

/** The features of a group; each list must have `count` values. */
async function readFeatures(file: Hierarchy, group: string, count: number): Promise<TenxFeatures> {
  const strings = async (name: string): Promise<string[]> => {
    const array = await file.array(`${group}/${name}`);
    checkLength(file, array.path, lengthOf(file, array), count, "features");
    return array.strings(0, count);
  };
  const present = async (name: string): Promise<string[] | undefined> =>
    (await file.kind(`${group}/${name}`)) === "array" ? strings(name) : undefined;
  if ((await file.kind(`${group}/features`)) !== "group") {
    const ids = await strings("genes");
    return { ids, names: await present("gene_names"), types: undefined, genomes: undefined };
  }
  return {
    ids: await strings("features/id"),
    names: await present("features/name"),
    types: await present("features/feature_type"),
    genomes: await present("features/genome"),
  };
}

function checkLength(file: Hierarchy, path: string, length: number, wanted: number, what: string): void {
  if (length === wanted) return;
  throw new DdscError(
    "DATA_SHAPE",
    `${file.path}: ${path} has ${length} values for ${wanted} ${what}; fetch it again`,
    { file: file.path },
  );
}
