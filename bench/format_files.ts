/** The same made-up cells as a file of every format that is compared by speed. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  Field,
  Float32,
  Int64,
  List,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
} from "apache-arrow";
import Blosc from "numcodecs/blosc";
import { Hdf5Writer } from "../lib/data/hdf5/writer/writer.js";
import { rowRange } from "../lib/data/sources/parts.js";
import { type CellSource, convertCells, openCells } from "../lib/index.js";
import { writeShards } from "./shards.js";

/** A file of a format. */
export interface FormatFile {
  readonly format: string;
  readonly path: string;
}

/** Elements of a zarr chunk. */
const CHUNK = 1 << 20;
/** Cells of an Arrow record batch. */
const BATCH_CELLS = 1000;

/** All counts of a source in compressed rows; small enough to be held in memory. */
interface Matrix {
  readonly cells: number;
  readonly genes: readonly string[];
  readonly indptr: Int32Array;
  readonly indices: Int32Array;
  readonly data: Float32Array;
}

/** Writes the files that are missing in `folder`, each of so many cells with about `expressed` genes. */
export async function writeFormatFiles(
  folder: string,
  cells: number,
  expressed: number,
): Promise<readonly FormatFile[]> {
  const parquet = join(folder, "parquet");
  await writeShards(parquet, cells, expressed);
  using source = await openCells(parquet);
  const matrix = await readMatrix(source);
  const files = [
    { format: "Parquet (Snappy)", path: parquet, write: undefined },
    { format: "Arrow IPC", path: join(folder, "cells.arrow"), write: writeArrow },
    { format: "AnnData (.h5ad)", path: join(folder, "cells.h5ad"), write: undefined },
    { format: "AnnData (zarr v2, Blosc)", path: join(folder, "cells.zarr"), write: writeZarr },
    { format: "10x HDF5", path: join(folder, "cells.h5"), write: writeTenx },
  ];
  for (const { path, write } of files) {
    if (existsSync(path)) continue;
    if (write === undefined) await convertCells(source, path);
    else await write(path, matrix);
  }
  return files;
}

async function readMatrix(source: CellSource): Promise<Matrix> {
  const { offsets, columns, counts } = await source.read(rowRange(0, source.cellCount));
  return {
    cells: source.cellCount,
    genes: source.genes.map(({ id }) => id),
    indptr: offsets,
    indices: columns,
    data: counts,
  };
}

/** As Hugging Face data sets hold Tahoe-100M: a list of gene tokens and a list of counts a cell; tokens are read beside it. */
async function writeArrow(path: string, { cells, genes, indptr, indices, data }: Matrix): Promise<void> {
  const schema = new Schema([
    new Field("genes", new List(new Field("item", new Int64()))),
    new Field("expressions", new List(new Field("item", new Float32()))),
  ]);
  const batches: RecordBatch[] = [];
  for (let first = 0; first < cells; first += BATCH_CELLS) {
    const end = Math.min(cells, first + BATCH_CELLS);
    const bounds = indptr.slice(first, end + 1);
    const [start = 0] = bounds;
    const stop = bounds.at(-1) ?? 0;
    const valueOffsets = bounds.map((bound) => bound - start);
    const length = end - first;
    const tokens = BigInt64Array.from(indices.subarray(start, stop), (column) => BigInt(column + 3));
    const columns = [
      makeData({
        type: schema.fields[0]?.type as List,
        length,
        valueOffsets,
        child: makeData({ type: new Int64(), data: tokens }),
      }),
      makeData({
        type: schema.fields[1]?.type as List,
        length,
        valueOffsets,
        child: makeData({ type: new Float32(), data: data.slice(start, stop) }),
      }),
    ];
    batches.push(
      new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, children: columns })),
    );
  }
  const bytes = await RecordBatchStreamWriter.writeAll(batches).toUint8Array();
  await writeFile(path, bytes);
  const tokenOf = Object.fromEntries(genes.map((gene, column) => [gene, column + 3]));
  await writeFile(join(path, "..", "vocab.json"), JSON.stringify(tokenOf));
}

async function writeZarr(path: string, matrix: Matrix): Promise<void> {
  const put = async (name: string, content: object | Uint8Array): Promise<void> => {
    await mkdir(join(path, name, ".."), { recursive: true });
    await writeFile(join(path, name), content instanceof Uint8Array ? content : JSON.stringify(content));
  };
  const group = async (name: string, attributes: object): Promise<void> => {
    await put(join(name, ".zgroup"), { zarr_format: 2 });
    await put(join(name, ".zattrs"), attributes);
  };
  const codec = { id: "blosc", cname: "lz4", clevel: 5, shuffle: 1, blocksize: 0 };
  const blosc = Blosc.fromConfig({ ...codec });
  const array = async (name: string, dtype: string, values: Int32Array | Float32Array): Promise<void> => {
    const chunk = Math.min(CHUNK, values.length);
    await put(join(name, ".zarray"), {
      zarr_format: 2,
      shape: [values.length],
      chunks: [chunk],
      dtype,
      compressor: codec,
      fill_value: 0,
      order: "C",
      filters: null,
    });
    for (let first = 0, i = 0; first < values.length; first += chunk, i++) {
      const whole = values.slice(0, chunk).fill(0);
      whole.set(values.subarray(first, first + chunk));
      await put(join(name, String(i)), await blosc.encode(new Uint8Array(whole.buffer)));
    }
  };
  const names = async (name: string, index: readonly string[]): Promise<void> => {
    await group(name, {
      "encoding-type": "dataframe",
      "encoding-version": "0.2.0",
      _index: "_index",
      "column-order": [],
    });
    const width = Math.max(...index.map((text) => text.length));
    const text = Buffer.alloc(index.length * width * 4);
    for (const [row, word] of index.entries())
      for (let i = 0; i < word.length; i++) text.writeUInt32LE(word.charCodeAt(i), (row * width + i) * 4);
    await put(join(name, "_index", ".zarray"), {
      zarr_format: 2,
      shape: [index.length],
      chunks: [index.length],
      dtype: `<U${width}`,
      compressor: null,
      fill_value: "",
      order: "C",
      filters: null,
    });
    await put(join(name, "_index", ".zattrs"), {
      "encoding-type": "string-array",
      "encoding-version": "0.2.0",
    });
    await put(join(name, "_index", "0"), text);
  };
  await group("", { "encoding-type": "anndata", "encoding-version": "0.1.0" });
  const shape = [matrix.cells, matrix.genes.length];
  await group("X", { "encoding-type": "csr_matrix", "encoding-version": "0.1.0", shape });
  await array("X/data", "<f4", matrix.data);
  await array("X/indices", "<i4", matrix.indices);
  await array("X/indptr", "<i4", matrix.indptr);
  await names(
    "obs",
    Array.from({ length: matrix.cells }, (_, cell) => `cell-${cell}`),
  );
  await names("var", matrix.genes);
}

async function writeTenx(path: string, { cells, genes, indptr, indices, data }: Matrix): Promise<void> {
  const writer = await Hdf5Writer.create(path);
  const numbers = (name: string, values: Int32Array) =>
    writer.dataset(`/matrix/${name}`, "int32", [values.length], values);
  const strings = (name: string, values: readonly string[]) =>
    writer.dataset(`/matrix/${name}`, "string", [values.length], values);
  await numbers("data", Int32Array.from(data));
  await numbers("indices", indices);
  await numbers("indptr", indptr);
  await numbers("shape", Int32Array.of(genes.length, cells));
  await strings(
    "barcodes",
    Array.from({ length: cells }, (_, cell) => `cell-${cell}`),
  );
  await strings("features/id", genes);
  await strings("features/name", genes);
  for (const [name, value] of [
    ["feature_type", "Gene Expression"],
    ["genome", "made-up"],
  ] as const)
    await strings(
      `features/${name}`,
      genes.map(() => value),
    );
  await writer.close();
}
