import { DdscError } from "../../base/errors.js";
import { CsrMatrix } from "../anndata/h5ad_sparse.js";
import { Hdf5File } from "../hdf5/file.js";
import { stringsAt } from "../hdf5/rows.js";
import { toFloat64 } from "../hdf5/types.js";
import type { OpenOptions } from "../sources/cells.js";
import type { RawRows } from "../sources/count_matrix.js";
import { FileSource, namesOnly } from "../sources/file_source.js";
import type { CellFormat } from "../sources/format.js";
import { fixedParts } from "../sources/parts.js";
import { genomeNote, keepGenes, missingGenome, selectGenes, type TenxFeatures } from "./features.js";

const MAX_EXTENT = 0x7fff_ffff;

/** HDF5 files of Cell Ranger 2 (a group a genome) and 3 or later (a group `matrix` with types of features). */
export const tenxH5: CellFormat = {
  name: "10x HDF5 (.h5)",
  matches: async (content) => {
    if (content.kind !== "file" || !content.hdf5) return false;
    try {
      using file = await Hdf5File.open(content.path);
      return groupsOf(file).length > 0;
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
    const group = chooseGroup(file, options.genome, notes);
    const { cellCount, featureCount } = shapeOf(file, group);
    const features = readFeatures(file, group, featureCount);
    const genome = features.genomes === undefined ? undefined : options.genome;
    const genes = selectGenes(features, path, genome);
    const matrix = new CsrMatrix({ file, path: group, rows: cellCount, columns: featureCount });
    const barcodes = `${group}/barcodes`;
    checkLength(file, barcodes, file.vectorInfo(barcodes).shape[0] ?? 0, cellCount, "cells");
    const { geneOf } = genes;
    return await FileSource.open({
      path,
      options,
      cellCount,
      matrix: {
        read: (rows): RawRows =>
          geneOf === undefined ? matrix.read(rows) : keepGenes(matrix.read(rows), geneOf),
      },
      cells: { ...namesOnly(undefined), ids: (rows) => stringsAt(file, barcodes, rows) },
      genes: genes.frame,
      partBounds: fixedParts(cellCount),
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
function groupsOf(file: Hdf5File): string[] {
  const groups = file.keys("/").filter((name) => {
    if (file.kind(`/${name}`) !== "group") return false;
    const members = file.keys(`/${name}`);
    const features = members.includes("features") || members.includes("genes");
    return features && MEMBERS.every((member) => members.includes(member));
  });
  return groups.includes("matrix") ? ["matrix"] : groups.sort();
}

function chooseGroup(file: Hdf5File, genome: string | undefined, notes: string[]): string {
  const groups = groupsOf(file);
  const [first, ...others] = groups;
  if (first === undefined) throw file.corrupt("/", "holds no matrix of Cell Ranger");
  if (first === "matrix") return "/matrix";
  if (genome !== undefined) {
    if (!groups.includes(genome)) throw missingGenome(file.path, genome, groups);
    return `/${genome}`;
  }
  if (others.length === 0) return `/${first}`;
  const counts = groups.map((group) => file.vectorInfo(`/${group}/data`).shape[0] ?? 0);
  const most = groups[counts.indexOf(Math.max(...counts))] ?? first;
  notes.push(genomeNote(most, groups));
  return `/${most}`;
}

function shapeOf(file: Hdf5File, group: string): { cellCount: number; featureCount: number } {
  const shape = toFloat64(file.allNumbers(`${group}/shape`));
  const [featureCount, cellCount] = shape;
  const good = [featureCount, cellCount].every(
    (extent) => extent !== undefined && Number.isInteger(extent) && extent >= 0 && extent <= MAX_EXTENT,
  );
  if (featureCount === undefined || cellCount === undefined || shape.length !== 2 || !good) {
    throw file.corrupt(
      `${group}/shape`,
      `[${[...shape.subarray(0, 4)].join(", ")}] is no shape of features by cells`,
    );
  }
  return { cellCount, featureCount };
}

/** The features of a group; each list must have `count` values. */
function readFeatures(file: Hdf5File, group: string, count: number): TenxFeatures {
  const strings = (name: string): string[] => {
    const values = file.allStrings(`${group}/${name}`);
    checkLength(file, `${group}/${name}`, values.length, count, "features");
    return values;
  };
  const present = (name: string): string[] | undefined =>
    file.kind(`${group}/${name}`) === "dataset" ? strings(name) : undefined;
  if (file.kind(`${group}/features`) !== "group") {
    return { ids: strings("genes"), names: present("gene_names"), types: undefined, genomes: undefined };
  }
  return {
    ids: strings("features/id"),
    names: present("features/name"),
    types: present("features/feature_type"),
    genomes: present("features/genome"),
  };
}

function checkLength(file: Hdf5File, path: string, length: number, wanted: number, what: string): void {
  if (length === wanted) return;
  throw new DdscError(
    "DATA_SHAPE",
    `${file.path}: ${path} has ${length} values for ${wanted} ${what}; fetch it again`,
    {
      file: file.path,
    },
  );
}
