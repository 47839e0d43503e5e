import type { Table } from "apache-arrow";
import { DdscError } from "../errors.js";
import { CountFindings, checkedBlock, checkRows } from "./checked_counts.js";
import type { CountMatrix } from "./count_matrix.js";
import { countsLayer, insteadOfX, insteadOfXNote } from "./counts_layer.js";
import { type Frame, frameColumns, frameTable, selectFrame } from "./frame.js";
import { duplicateCellNote, genesOf } from "./gene_names.js";
import { DenseMatrix } from "./h5ad_dense.js";
import { readFrame } from "./h5ad_frame.js";
import { CscMatrix, CsrMatrix } from "./h5ad_sparse.js";
import { Hdf5File } from "./hdf5_file.js";
import { fixedParts, rowRange } from "./parts.js";
import type {
  CellBlock,
  CellSource,
  Gene,
  MetadataColumn,
  MetadataOptions,
  OpenOptions,
  SourceDescriptor,
  SourceFrames,
} from "./source.js";

const MAX_EXTENT = 0x7fff_ffff;
/** So many cells are looked at on opening, to tell counts from transformed values. */
const PROBED_CELLS = 64;

/** An AnnData file (.h5ad), read by rows; nothing but metadata and row bounds is kept in memory. */
export class H5adSource implements CellSource {
  readonly name: string;
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly partBounds: Float64Array;
  readonly metadataColumns: readonly MetadataColumn[];
  /** The table of cells, as in the file. */
  readonly obs: Frame;
  /** The table of genes (of raw genes with `raw`), as in the file. */
  readonly var: Frame;
  /** What to do when values turn out to be no counts, given what else the file has; "" if nothing. */
  readonly remedy: string;
  readonly #file: Hdf5File;
  readonly #matrix: CountMatrix;
  readonly #options: OpenOptions;
  readonly #openingNotes: readonly string[];
  readonly #findings = new CountFindings();

  /** `instead` is the layer to read although `options` do not name it. */
  private constructor(file: Hdf5File, options: OpenOptions, instead?: string) {
    const chosen = instead === undefined ? options : { ...options, layer: instead };
    this.name = file.path;
    this.#file = file;
    this.#options = options;
    checkIsAnnData(file);
    const paths = matrixPaths(file, chosen);
    this.#matrix = openMatrix(file, paths.matrix);
    this.cellCount = this.#matrix.rows;
    const notes: string[] = instead === undefined ? [] : [insteadOfXNote(instead)];
    this.obs = readFrame(file, "/obs", this.#matrix.rows, notes);
    this.var = readFrame(file, paths.genes, this.#matrix.columns, notes);
    checkGeneColumn(file, this.var, options);
    const { genes, note } = genesOf(this.var, options.geneColumn);
    this.genes = genes;
    this.remedy = remedyFor(file, chosen);
    for (const text of [note, duplicateCellNote(this.obs.index)]) if (text !== undefined) notes.push(text);
    this.#openingNotes = notes;
    this.partBounds = fixedParts(this.cellCount);
    this.metadataColumns = frameColumns(this.obs);
  }

  /**
   * Opens an AnnData file: X, or the matrix that `options` name; where X turns out to hold no counts (negative or not
   * finite) and there is a layer of counts, that layer, with a note. Throws `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_FORMAT` (HDF5, but not AnnData),
   * `DATA_MISSING_MATRIX`, `DATA_MISSING_LAYER`, `DATA_MISSING_COLUMN`, `DATA_SHAPE`, `DATA_TYPE`, and the
   * errors of `read` for the first cells.
   */
  static async open(path: string, options: OpenOptions = {}): Promise<H5adSource> {
    const file = await Hdf5File.open(path);
    try {
      const source = new H5adSource(file, options);
      const layer = await source.#probe().then(
        () => undefined,
        (error: unknown) => {
          const counts = insteadOfX(error, options, layerNames(file));
          if (counts === undefined) throw error;
          return counts;
        },
      );
      if (layer === undefined) return source;
      const other = new H5adSource(file, options, layer);
      await other.#probe();
      return other;
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  /** Grows while reading, if counts turn out to have fractions or a gene is stored twice in a cell. */
  get notes(): readonly string[] {
    return [...this.#openingNotes, ...this.#findings.notes(this.remedy)];
  }

  async cellIds(rows: Int32Array): Promise<readonly string[]> {
    checkRows(rows, this.cellCount, this.name);
    return Array.from(rows, (row) => this.obs.index[row] ?? "");
  }

  async metadata(options: MetadataOptions = {}): Promise<Table> {
    if (options.rows !== undefined) checkRows(options.rows, this.cellCount, this.name);
    return frameTable(selectFrame(this.obs, options, this.name));
  }

  async frames(): Promise<SourceFrames> {
    return { obs: this.obs, var: this.var };
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock> {
    signal?.throwIfAborted();
    checkRows(rows, this.cellCount, this.name);
    return checkedBlock(this.#matrix.read(rows), rows, this, this.#findings);
  }

  /** Reads the first cells. */
  async #probe(): Promise<void> {
    await this.read(rowRange(0, Math.min(PROBED_CELLS, this.cellCount)));
  }

  descriptor(): SourceDescriptor {
    return { kind: "file", path: this.name, options: this.#options };
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

function checkIsAnnData(file: Hdf5File): void {
  if (file.kind("/obs") !== "missing" && file.kind("/var") !== "missing") return;
  const found = file.keys("/");
  const contents = found.length === 0 ? "nothing" : found.slice(0, 8).join(", ");
  throw new DdscError(
    "DATA_FORMAT",
    `${file.path}: an HDF5 file but not AnnData: it holds ${contents} and no obs or var; convert it to .h5ad first`,
    { file: file.path },
  );
}

function layerNames(file: Hdf5File): string[] {
  return file.kind("/layers") === "group" ? file.keys("/layers") : [];
}

/** Where the matrix and the genes are: X, a layer, or raw (`raw.X` in older files). */
function matrixPaths(file: Hdf5File, options: OpenOptions): { matrix: string; genes: string } {
  const place = { file: file.path };
  if (options.layer !== undefined) {
    if (options.raw === true) {
      throw new DdscError("ARGUMENT_CONFLICT", "layer and raw exclude each other; choose one", {
        argument: "layer",
      });
    }
    const names = layerNames(file);
    if (!names.includes(options.layer)) {
      const have = names.length === 0 ? "it has no layers" : `it has ${names.join(", ")}`;
      throw new DdscError(
        "DATA_MISSING_LAYER",
        `${file.path}: there is no layer "${options.layer}"; ${have}`,
        {
          ...place,
          argument: "layer",
        },
      );
    }
    return { matrix: `/layers/${options.layer}`, genes: "/var" };
  }
  if (options.raw === true) {
    const matrix = ["/raw/X", "/raw.X"].find((path) => file.kind(path) !== "missing");
    if (matrix === undefined) {
      throw new DdscError("DATA_MISSING_MATRIX", `${file.path}: has no raw matrix; leave out --raw`, place);
    }
    return { matrix, genes: matrix === "/raw/X" ? "/raw/var" : "/raw.var" };
  }
  const kind = file.kind("/X");
  if (kind === "missing" || (kind === "dataset" && file.isNull("/X"))) {
    throw new DdscError(
      "DATA_MISSING_MATRIX",
      `${file.path}: has no X. ${remedyFor(file, {}) || "Write the file with a matrix"}`,
      place,
    );
  }
  return { matrix: "/X", genes: "/var" };
}

function openMatrix(file: Hdf5File, path: string): CountMatrix {
  const kind = file.kind(path);
  if (kind === "dataset") {
    const dense = new DenseMatrix(file, path);
    checkExtents(file, path, [dense.rows, dense.columns]);
    return dense;
  }
  if (kind !== "group") throw file.corrupt(path, "is neither a sparse nor a dense matrix");
  const encoding = file.textAttribute(path, "encoding-type") ?? file.textAttribute(path, "h5sparse_format");
  const shape = file.attribute(path, "shape") ?? file.attribute(path, "h5sparse_shape");
  if (encoding === undefined) throw file.corrupt(path, "is a group that does not say how it is encoded");
  if (!Array.isArray(shape) || shape.length !== 2) throw file.corrupt(path, "has no shape");
  const [rows, columns] = shape.map(Number);
  checkExtents(file, path, [rows, columns]);
  const group = { file, path, rows: rows ?? 0, columns: columns ?? 0 };
  if (encoding.startsWith("csr")) return new CsrMatrix(group);
  if (encoding.startsWith("csc")) return new CscMatrix(group);
  throw new DdscError(
    "DATA_FORMAT",
    `${file.path}: ${path} is encoded as "${encoding}"; write it as csr_matrix, csc_matrix or a dense array`,
    {
      file: file.path,
    },
  );
}

function checkExtents(file: Hdf5File, path: string, shape: readonly (number | undefined)[]): void {
  for (const extent of shape) {
    if (extent === undefined || !Number.isInteger(extent) || extent < 0)
      throw file.corrupt(path, "has no valid shape");
    if (extent > MAX_EXTENT) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${file.path}: ${path} claims shape [${shape.join(", ")}]; at most 2^31 - 1 cells and genes are supported`,
        {
          file: file.path,
        },
      );
    }
  }
}

function checkGeneColumn(file: Hdf5File, genes: Frame, options: OpenOptions): void {
  const { geneColumn } = options;
  if (geneColumn === undefined || geneColumn === genes.indexName || genes.columns.has(geneColumn)) return;
  const have = [genes.indexName, ...genes.columns.keys()].join(", ");
  throw new DdscError(
    "DATA_MISSING_COLUMN",
    `${file.path}: var has no column "${geneColumn}"; it has ${have}`,
    {
      file: file.path,
      argument: "geneColumn",
    },
  );
}

/** Other matrices of the file that may hold raw counts, as advice. */
function remedyFor(file: Hdf5File, options: OpenOptions): string {
  const layers = layerNames(file).filter((name) => name !== options.layer);
  const counts = countsLayer(layers);
  if (counts !== undefined) return `Pass --layer ${counts}`;
  const hasRaw = ["/raw/X", "/raw.X"].some((path) => file.kind(path) !== "missing");
  if (hasRaw && options.raw !== true) return "Pass --raw";
  return layers.length > 0 ? `Choose a layer with --layer (${layers.join(", ")})` : "";
}
