import { DdscError } from "../../base/errors.js";
import { writeAtomically } from "../../base/files.js";
import { type AttributeValue, type ElementType, Hdf5Writer } from "../hdf5/writer/writer.js";
import type { CellBlock } from "../sources/cells.js";
import { type Column, columnLength, type Frame, textCategories } from "../sources/frame.js";
import type { NumberArray } from "../sources/number_array.js";

/** Values of a matrix cells x genes, held in memory. */
export type MatrixValues =
  | {
      readonly kind: "csr";
      /** Bounds of each row, [cells + 1]. */
      readonly offsets: Int32Array | Float64Array;
      /** Column of each value, ascending within a row. */
      readonly columns: Int32Array;
      readonly values: Float32Array | Int32Array;
    }
  | {
      readonly kind: "dense";
      /** Row by row, [cells * genes]. */
      readonly values: Float32Array | Int32Array | Uint8Array;
    };

/** Something to store under `uns`; `null` entries are not stored. */
export type UnstructuredValue =
  | AttributeValue
  | NumberArray
  | null
  | { readonly [name: string]: UnstructuredValue };

/** What goes into an .h5ad file. */
export interface H5adContents {
  /** Table of cells; the index names them. That of `framesOf` is copied through as typed. */
  readonly obs: Frame;
  /** Table of genes. */
  readonly var: Frame;
  readonly X: MatrixValues;
  readonly layers?: Readonly<Record<string, MatrixValues>>;
  readonly uns?: Readonly<Record<string, UnstructuredValue>>;
}

/** Types of a streamed dense matrix. */
export type StreamedType = "float32" | "int32" | "uint8";

/** Rows of the dense matrices of `writeH5adStreamed`, any number at a time, in order. */
export type MatrixRows = Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>;

/** What `writeH5adStreamed` writes: tables at once, dense matrices as they are made. */
export interface H5adStream {
  readonly obs: Frame;
  readonly var: Frame;
  /** Type of each matrix by name; "X" is X, the others are layers. */
  readonly matrices: Readonly<Record<string, StreamedType>>;
  /** Rows of every matrix, cells in the order of `obs`. */
  readonly rows: AsyncIterable<MatrixRows> | Iterable<MatrixRows>;
  readonly uns?: Readonly<Record<string, UnstructuredValue>>;
}

/** What `writeH5adCells` writes: tables at once, X as compressed rows as they are read. */
export interface H5adCells {
  readonly obs: Frame;
  readonly var: Frame;
  /** Cells in the order of `obs`, any number at a time. */
  readonly blocks: AsyncIterable<CellBlock>;
  readonly uns?: Readonly<Record<string, UnstructuredValue>>;
}

/**
 * Writes an AnnData file that AnnData 0.8 and later read: X, layers, obs, var, uns. The file appears whole or
 * not at all. Throws `DATA_SHAPE` if lengths disagree, `ARGUMENT_NAME` for a name that HDF5 cannot hold and
 * `FILE_WRITE` if the file system refuses.
 */
export async function writeH5ad(path: string, contents: H5adContents): Promise<void> {
  const shape = checkedShape(path, contents.obs, contents.var);
  const matrices = [["X", contents.X] as const, ...Object.entries(contents.layers ?? {})];
  for (const [name, values] of matrices) checkMatrix(path, name, values, shape);
  await writeFile(path, contents, async (writer) => {
    for (const [name, values] of matrices) await writeMatrix(writer, matrixPath(name), values, shape);
  });
}

/** As `writeH5ad`, for dense matrices too large to hold: memory stays at a few rows. */
export async function writeH5adStreamed(path: string, contents: H5adStream): Promise<void> {
  const shape = checkedShape(path, contents.obs, contents.var);
  const size = shape[0] * shape[1];
  await writeFile(path, contents, async (writer) => {
    const streams = Object.entries(contents.matrices).map(([name, type]) => ({
      name,
      received: 0,
      stream: writer.streamDataset(matrixPath(name), type, shape, ARRAY),
    }));
    for await (const rows of contents.rows) {
      for (const matrix of streams) {
        const values = rows[matrix.name];
        if (values === undefined)
          throw shapeError(path, `matrix "${matrix.name}" has no values for some cells`);
        matrix.received += values.length;
        if (matrix.received > size)
          throw shapeError(path, `matrix "${matrix.name}" has more than ${size} values`);
        await matrix.stream.append(values);
      }
    }
    for (const { name, received, stream } of streams) {
      if (received < size)
        throw shapeError(path, `matrix "${name}" has ${received} values instead of ${size}`);
      await stream.finish();
    }
  });
}

/** As `writeH5ad`, for counts too many to hold: memory stays at the tables, one block and 8 bytes a cell. */
export async function writeH5adCells(path: string, contents: H5adCells): Promise<void> {
  const shape = checkedShape(path, contents.obs, contents.var);
  const [cells, genes] = shape;
  // SciPy wants both index arrays of one type, and how many counts there are is known only in the end.
  const wide = cells * genes > 0x7fff_ffff;
  const type = wide ? "int64" : "int32";
  const typed = (values: Float64Array | Int32Array) =>
    wide ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
  await writeFile(path, contents, async (writer) => {
    await writer.group("/X", { "encoding-type": "csr_matrix", "encoding-version": "0.1.0", shape });
    const data = writer.streamDataset("/X/data", "float32", [Number.POSITIVE_INFINITY]);
    const indices = writer.streamDataset("/X/indices", type, [Number.POSITIVE_INFINITY]);
    const bounds = new Float64Array(cells + 1);
    let written = 0;
    for await (const { rows, offsets, columns, counts } of contents.blocks) {
      if (written + rows.length > cells) throw shapeError(path, `there are more than ${cells} cells`);
      const first = bounds[written] ?? 0;
      for (let cell = 1; cell <= rows.length; cell++) bounds[written + cell] = first + (offsets[cell] ?? 0);
      written += rows.length;
      await data.append(counts);
      await indices.append(typed(columns));
    }
    if (written < cells) throw shapeError(path, `there are ${written} cells instead of ${cells}`);
    await data.finish();
    await indices.finish();
    await writer.dataset("/X/indptr", type, [bounds.length], typed(bounds));
  });
}

const ARRAY = { "encoding-type": "array", "encoding-version": "0.2.0" } as const;
const STRINGS = { "encoding-type": "string-array", "encoding-version": "0.2.0" } as const;
const MAPPING = { "encoding-type": "dict", "encoding-version": "0.1.0" } as const;
/** Names of AnnData's own that a column cannot have. */
const RESERVED = new Set(["", ".", "..", "_index"]);

function shapeError(path: string, what: string): DdscError {
  return new DdscError("DATA_SHAPE", `${path}: ${what}`, { file: path });
}

function matrixPath(name: string): string {
  return name === "X" ? "/X" : `/layers/${name}`;
}

async function writeFile(
  path: string,
  contents: Pick<H5adContents, "obs" | "var" | "uns">,
  writeMatrices: (writer: Hdf5Writer) => Promise<void>,
): Promise<void> {
  await writeAtomically(path, async (temporaryPath) => {
    const writer = await Hdf5Writer.create(temporaryPath);
    try {
      await writer.group("/", { "encoding-type": "anndata", "encoding-version": "0.1.0" });
      for (const name of ["layers", "obsm", "obsp", "varm", "varp"]) await writer.group(`/${name}`, MAPPING);
      await writeMatrices(writer);
      await writeFrame(writer, "/obs", contents.obs);
      await writeFrame(writer, "/var", contents.var);
      await writeUnstructured(writer, "/uns", contents.uns ?? {});
      await writer.close();
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  });
}

function checkedShape(path: string, obs: Frame, genes: Frame): readonly [number, number] {
  for (const [table, frame] of [["obs", obs] as const, ["var", genes] as const]) {
    for (const [name, column] of frame.columns) {
      checkColumnName(path, table, name, frame);
      const length = columnLength(column);
      if (length === frame.index.length) continue;
      throw shapeError(path, `${table} column "${name}" has ${length} values for ${frame.index.length} rows`);
    }
  }
  return [obs.index.length, genes.index.length];
}

function checkMatrix(
  path: string,
  name: string,
  matrix: MatrixValues,
  [rows, columns]: readonly [number, number],
): void {
  checkName(path, "layer", name);
  if (matrix.kind === "dense") {
    if (matrix.values.length === rows * columns) return;
    throw shapeError(
      path,
      `"${name}" has ${matrix.values.length} values for ${rows} cells x ${columns} genes`,
    );
  }
  const stored = matrix.values.length;
  if (
    matrix.offsets.length !== rows + 1 ||
    matrix.offsets[rows] !== stored ||
    matrix.columns.length !== stored
  ) {
    throw shapeError(path, `"${name}": offsets, columns and values do not fit ${rows} cells`);
  }
}

/** Columns may have slashes in their names, which nest in the file, as old AnnData wrote them. */
function checkColumnName(path: string, table: string, name: string, frame: Frame): void {
  const parts = name.split("/");
  const clash = parts.slice(1).some((_, i) => frame.columns.has(parts.slice(0, i + 1).join("/")));
  for (const part of parts) checkName(path, `${table} column`, clash ? "" : part);
}

function checkName(path: string, what: string, name: string): void {
  if (!RESERVED.has(name) && !name.includes("\0") && !name.includes("/")) return;
  throw new DdscError(
    "ARGUMENT_NAME",
    `${path}: ${what} "${name}" cannot be written under this name; rename it`,
    {
      file: path,
      argument: name,
    },
  );
}

async function writeMatrix(
  writer: Hdf5Writer,
  path: string,
  matrix: MatrixValues,
  shape: readonly [number, number],
): Promise<void> {
  if (matrix.kind === "dense") {
    await writer.dataset(path, numberType(matrix.values), shape, matrix.values, ARRAY);
    return;
  }
  await writer.group(path, { "encoding-type": "csr_matrix", "encoding-version": "0.1.0", shape });
  const { values, columns } = matrix;
  await writer.dataset(`${path}/data`, numberType(values), [values.length], values);
  // SciPy wants both index arrays of one type.
  const wide = values.length > 0x7fff_ffff;
  const wider = (array: Int32Array | Float64Array): BigInt64Array => BigInt64Array.from(array, BigInt);
  const offsets = wide ? wider(matrix.offsets) : Int32Array.from(matrix.offsets);
  const indexType = wide ? "int64" : "int32";
  await writer.dataset(`${path}/indices`, indexType, [columns.length], wide ? wider(columns) : columns);
  await writer.dataset(`${path}/indptr`, indexType, [offsets.length], offsets);
}

function numberType(values: NumberArray): Exclude<ElementType, "string" | "boolean"> {
  switch (values.constructor) {
    case Int8Array:
      return "int8";
    case Uint8Array:
      return "uint8";
    case Int16Array:
      return "int16";
    case Uint16Array:
      return "uint16";
    case Int32Array:
      return "int32";
    case Uint32Array:
      return "uint32";
    case BigInt64Array:
      return "int64";
    case BigUint64Array:
      return "uint64";
    case Float32Array:
      return "float32";
    default:
      return "float64";
  }
}

async function writeFrame(writer: Hdf5Writer, path: string, frame: Frame): Promise<void> {
  const indexName = frame.columns.has(frame.indexName) ? "_index" : frame.indexName;
  await writer.group(path, {
    "encoding-type": "dataframe",
    "encoding-version": "0.2.0",
    _index: indexName,
    "column-order": [...frame.columns.keys()],
  });
  await writer.dataset(`${path}/${indexName}`, "string", [frame.index.length], frame.index, STRINGS);
  for (const [name, column] of frame.columns) await writeColumn(writer, `${path}/${name}`, column);
}

async function writeColumn(writer: Hdf5Writer, path: string, column: Column): Promise<void> {
  if (column.kind === "categories") {
    const attributes = {
      "encoding-type": "categorical",
      "encoding-version": "0.2.0",
      ordered: column.ordered,
    };
    await writer.group(path, attributes);
    const codes = smallestCodes(column.codes, columnLength(column.categories));
    await writer.dataset(`${path}/codes`, numberType(codes), [codes.length], codes, ARRAY);
    await writeColumn(writer, `${path}/categories`, column.categories);
    return;
  }
  const shape = [column.values.length];
  if (column.kind === "strings") {
    // AnnData before 0.11 knows missing text only in categories.
    if (column.missing?.includes(1))
      await writeColumn(writer, path, textCategories(column.values, column.missing));
    else await writer.dataset(path, "string", shape, column.values, STRINGS);
    return;
  }
  const type = column.kind === "booleans" ? "boolean" : numberType(column.values);
  if (column.missing === undefined) {
    await writer.dataset(path, type, shape, column.values, ARRAY);
    return;
  }
  const encoding = column.kind === "booleans" ? "nullable-boolean" : "nullable-integer";
  await writer.group(path, { "encoding-type": encoding, "encoding-version": "0.1.0" });
  await writer.dataset(`${path}/values`, type, shape, column.values, ARRAY);
  await writer.dataset(`${path}/mask`, "boolean", shape, column.missing, ARRAY);
}

/** pandas' choice: the narrowest signed type that holds every code. */
function smallestCodes(codes: Int32Array, categories: number): Int8Array | Int16Array | Int32Array {
  if (categories <= 0x7f) return Int8Array.from(codes);
  return categories <= 0x7fff ? Int16Array.from(codes) : codes;
}

async function writeUnstructured(writer: Hdf5Writer, path: string, value: UnstructuredValue): Promise<void> {
  if (value === null) return;
  if (typeof value === "string") {
    await writer.dataset(path, "string", [], [value], {
      "encoding-type": "string",
      "encoding-version": "0.2.0",
    });
  } else if (typeof value === "number" || typeof value === "boolean") {
    const scalar = { "encoding-type": "numeric-scalar", "encoding-version": "0.2.0" };
    if (typeof value === "boolean")
      await writer.dataset(path, "boolean", [], Uint8Array.of(Number(value)), scalar);
    else if (Number.isSafeInteger(value))
      await writer.dataset(path, "int64", [], BigInt64Array.of(BigInt(value)), scalar);
    else await writer.dataset(path, "float64", [], Float64Array.of(value), scalar);
  } else if (ArrayBuffer.isView(value)) {
    await writer.dataset(path, numberType(value), [value.length], value, ARRAY);
  } else if (Array.isArray(value)) {
    const strings = value.every((item) => typeof item === "string");
    if (strings) await writer.dataset(path, "string", [value.length], value, STRINGS);
    else await writer.dataset(path, "float64", [value.length], Float64Array.from(value, Number), ARRAY);
  } else {
    await writer.group(path, MAPPING);
    for (const [name, member] of Object.entries(value)) {
      checkName(path, "uns entry", name);
      await writeUnstructured(writer, `${path}/${name}`, member);
    }
  }
}
