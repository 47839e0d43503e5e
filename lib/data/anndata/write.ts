import { checkKind, checkOptions } from "../../base/arguments.js";
import { checkChoice, checkWhole, DdscError, wrongType } from "../../base/errors.js";
import type { PublishOptions } from "../../base/publish.js";
import { writeHdf5 } from "../hdf5/writer/writer.js";
import type { HierarchyWriter } from "../hierarchy_writer.js";
import type { StreamedFrame } from "../sources/cell_frame.js";
import type { Column, Frame } from "../sources/frame.js";
import { writeZarr } from "../zarr/write.js";
import { ARRAY, MAPPING, ROOT } from "./encodings.js";
import { type AnnDataFormat, anndataFormat } from "./endings.js";
import { FrameStream, isStreamedFrame } from "./streamed_frame.js";
import { checkFrame, checkName, shapeError } from "./write_checks.js";
import { writeFrame } from "./write_frame.js";
import {
  type MatrixStream,
  openMatrixStream,
  type RowsGiven,
  type StreamedMatrix,
} from "./write_matrices.js";
import { type UnstructuredValue, writeUnstructured } from "./write_uns.js";

/** Rows of every matrix for the same cells, any number of them, in the order of obs. Dense ones are row-major. */
export type StreamedRows = Readonly<Record<string, RowsGiven>>;

/** What `writeAnnData` writes: tables at once, matrices as they are made. */
export interface AnnDataStream {
  /** Table of cells; the index names them. That of `framesOf` is copied through as typed; a streamed one is never whole in memory. */
  readonly obs: Frame | StreamedFrame;
  /** Table of genes. */
  readonly var: Frame;
  /** By their path in the file: "X", "layers/denoised", "obsm/X_ddsc". */
  readonly matrices: Readonly<Record<string, StreamedMatrix>>;
  /** Rows of every matrix, cells in the order of `obs`. */
  readonly rows: AsyncIterable<StreamedRows> | Iterable<StreamedRows>;
  /**
   * Columns that are known only once all rows have been given: called after the last of them; added to obs, in place of equal
   * names. Not for a streamed obs.
   */
  readonly addedObs?: () => ReadonlyMap<string, Column>;
  /** As `addedObs`, for var. */
  readonly addedVar?: () => ReadonlyMap<string, Column>;
  /** Dense matrices [genes, width], row by row. */
  readonly varm?: Readonly<Record<string, { readonly values: Float32Array; readonly width: number }>>;
  readonly uns?: Readonly<Record<string, UnstructuredValue>>;
}

/** Types of the values of each kind of matrix. */
const TYPES = { csr: ["float32", "int32"], dense: ["float32", "int32", "uint8"] } as const;
const GROUPS = ["layers", "obsm", "obsp", "varm", "varp"] as const;

/**
 * Writes AnnData that AnnData 0.8 and later read: NAME.zarr as a folder (zarr version 2), any other name as .h5ad. Matrices are
 * streamed and compressed: memory stays at the tables (of a streamed obs, none of it) and the rows given at a time. Sparse
 * matrices have int32 indices, int64 where cells times genes exceed 2^31 - 1. What is written appears whole or not at all, in
 * place of what was there unless `overwrite` is false.
 *
 * Throws `DATA_SHAPE` where lengths disagree, `ARGUMENT_TYPE` (for rows of another type than their matrix, too), `ARGUMENT_NAME` for a
 * name that cannot be written, `FILE_EXISTS` where something is there in the end and is not to be replaced, or a store would replace what is none, `FILE_WRITE` if the file system refuses, and what `rows` throws.
 */
export async function writeAnnData(
  path: string,
  contents: AnnDataStream,
  options: PublishOptions = {},
): Promise<void> {
  checkKind("path", path, "text");
  checkKind("contents", contents, "object");
  checkKinds(contents);
  checkOptions(options, { overwrite: "switch" });
  await writeAnnDataAs(anndataFormat(path) ?? "h5ad", path, contents, options);
}

/** As `writeAnnData`, in a format that the name does not tell. */
export async function writeAnnDataAs(
  format: AnnDataFormat,
  path: string,
  contents: AnnDataStream,
  options: PublishOptions = {},
): Promise<void> {
  checkContents(path, contents);
  const write = format === "zarr" ? writeZarr : writeHdf5;
  await write(path, (writer) => writeContents(writer, path, contents), options);
}

/**
 * Writes what `writeAnnData` writes of checked contents, in its order.
 *
 * @param matrices writes the matrices, instead of from `contents.rows`
 */
export async function writeContents(
  writer: HierarchyWriter,
  path: string,
  contents: AnnDataStream,
  matrices?: () => Promise<void>,
): Promise<void> {
  const { obs, var: genes, varm = {}, uns = {} } = contents;
  await writer.group("/", ROOT);
  for (const name of GROUPS) await writer.group(`/${name}`, MAPPING);
  const streamed = isStreamedFrame(obs) ? await FrameStream.open(writer, path, "/obs", obs) : undefined;
  await (matrices?.() ?? writeMatrices(writer, path, contents, streamed));
  for (const [name, { values, width }] of Object.entries(varm))
    await writer.dataset(`/varm/${name}`, "float32", [genes.index.length, width], values, ARRAY);
  await streamed?.finish();
  if (!isStreamedFrame(obs))
    await writeFrame(writer, "/obs", withColumns(path, "obs", obs, contents.addedObs));
  await writeFrame(writer, "/var", withColumns(path, "var", genes, contents.addedVar));
  await writeUnstructured(writer, path, "/uns", uns);
}

async function writeMatrices(
  writer: HierarchyWriter,
  path: string,
  { obs, var: genes, matrices, rows }: AnnDataStream,
  table: FrameStream | undefined,
): Promise<void> {
  const cells = isStreamedFrame(obs) ? obs.length : obs.index.length;
  const streams: MatrixStream[] = [];
  for (const [name, matrix] of Object.entries(matrices)) {
    const width = (matrix.kind === "dense" ? matrix.width : undefined) ?? genes.index.length;
    streams.push(await openMatrixStream(writer, { file: path, name, cells, width }, matrix));
  }
  const written = new Map<MatrixStream, number>();
  let done = 0;
  for await (const given of rows) {
    checkKind("rows", given, "object");
    let together: number | undefined;
    for (const stream of streams) {
      const { name } = stream.place;
      const own = given[name];
      if (own === undefined) throw shapeError(path, `matrix "${name}" has no values for some cells`);
      const count = await stream.append(own);
      if (count === undefined) continue;
      together ??= count;
      if (count !== together)
        throw shapeError(path, `matrix "${name}" has rows of ${count} cells where others have ${together}`);
      written.set(stream, (written.get(stream) ?? 0) + count);
    }
    done += together ?? 0;
    await table?.upTo(done);
  }
  for (const stream of streams) {
    const { name, width } = stream.place;
    const count = written.get(stream) ?? 0;
    if (count < cells && width > 0)
      throw shapeError(path, `matrix "${name}" has ${count} cells instead of ${cells}`);
    await stream.finish();
  }
}

/** The table with the columns that are known only now. */
function withColumns(path: string, table: string, frame: Frame, added: AnnDataStream["addedObs"]): Frame {
  if (added === undefined) return frame;
  const columns = added();
  if (!(columns instanceof Map)) throw wrongType(`added to ${table}`, columns, "a Map of columns by name");
  const whole = { ...frame, columns: new Map([...frame.columns, ...columns]) };
  checkFrame(path, table, whole);
  return whole;
}

/** Throws `ARGUMENT_TYPE` and `ARGUMENT_CHOICE` for what callers without types may pass. */
function checkKinds(contents: AnnDataStream): void {
  checkOptions(contents, { addedObs: "function", addedVar: "function", varm: "object", uns: "object" });
  for (const table of ["obs", "var"] as const) {
    const frame = contents[table];
    checkKind(table, frame, "object");
    if (table === "obs" && isStreamedFrame(frame)) checkStreamed(frame, contents.addedObs);
    else checkKind(`${table}.index`, (frame as Frame).index, "texts");
    checkKind(`${table}.indexName`, frame.indexName, "text");
    if (!(frame.columns instanceof Map))
      throw wrongType(`${table}.columns`, frame.columns, "a Map of columns by name");
    for (const [name, column] of frame.columns) checkColumn(`${table}.columns["${name}"]`, column);
  }
  checkKind("matrices", contents.matrices, "object");
  for (const [name, matrix] of Object.entries(contents.matrices)) {
    checkKind(`matrices["${name}"]`, matrix, "object");
    const kind = checkChoice(`matrices["${name}"].kind`, matrix.kind, ["csr", "dense"]);
    checkChoice(`matrices["${name}"].type`, matrix.type, TYPES[kind]);
  }
  const { rows } = contents;
  const iterable =
    typeof rows === "object" && rows !== null && (Symbol.iterator in rows || Symbol.asyncIterator in rows);
  if (!iterable) throw wrongType("rows", rows, "an iterable of rows by matrix");
}

function checkColumn(argument: string, column: Column): void {
  checkKind(argument, column, "object");
  const kind = checkChoice(`${argument}.kind`, column.kind, ["numbers", "booleans", "strings", "categories"]);
  const values = column.kind === "categories" ? column.codes : column.values;
  if (kind === "strings" ? !Array.isArray(values) : !ArrayBuffer.isView(values))
    throw wrongType(`${argument}, of ${kind}`, values, kind === "strings" ? "an array" : "a typed array");
}

function checkStreamed(obs: StreamedFrame, added: unknown): void {
  checkKind("obs.rows", obs.rows, "function");
  checkWhole("obs.length", obs.length, 0, 2 ** 31 - 1);
  if (added === undefined) return;
  throw new DdscError(
    "ARGUMENT_CONFLICT",
    "a streamed obs takes no addedObs; give its columns with its rows",
    {
      argument: "addedObs",
    },
  );
}

/** Throws `DATA_SHAPE` and `ARGUMENT_NAME` for what cannot be written. */
export function checkContents(path: string, { obs, var: genes, matrices, varm = {} }: AnnDataStream): void {
  if (!isStreamedFrame(obs)) checkFrame(path, "obs", obs);
  checkFrame(path, "var", genes);
  const columns = genes.index.length;
  for (const [name, matrix] of Object.entries(matrices)) {
    checkMatrixName(path, name);
    const width = matrix.kind === "dense" ? (matrix.width ?? columns) : columns;
    if (width !== columns && !name.startsWith("obsm/"))
      throw shapeError(path, `matrix "${name}" has ${width} columns for ${columns} genes`);
  }
  for (const [name, { values, width }] of Object.entries(varm)) {
    checkName(path, "varm entry", name);
    if (values.length !== columns * width)
      throw shapeError(path, `varm "${name}" has ${values.length} values for ${columns} genes x ${width}`);
  }
}

function checkMatrixName(path: string, name: string): void {
  if (name === "X") return;
  const [group = "", ...rest] = name.split("/");
  if (group !== "layers" && group !== "obsm") {
    const remedy = "name it X, layers/NAME or obsm/NAME";
    throw new DdscError("ARGUMENT_NAME", `${path}: AnnData has no place for a matrix "${name}"; ${remedy}`, {
      file: path,
      argument: "matrices",
    });
  }
  checkName(path, group === "layers" ? "layer" : "obsm entry", rest.join("/"));
}
