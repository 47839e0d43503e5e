/** Readers of Parquet shards of cells, to two arrays of numbers: ours, and the peers that are installed. */
import { readFileSync } from "node:fs";
import { RecordBatchReader } from "apache-arrow";
import { openCells } from "../lib/data/open/open_cells.js";
import { rowRange } from "../lib/data/sources/parts.js";

/** No dependencies of the package: those that are not installed are left out. */
const PEERS = ["hyparquet", "hyparquet-compressors", "parquet-wasm", "@duckdb/node-api"];
const COLUMNS = ["genes", "expressions"];

/** Reads a shard whole; gives how many pairs of numbers it holds. */
export type Read = (path: string) => Promise<number>;
interface Lists {
  readonly length: number;
}

async function readOurs(path: string): Promise<number> {
  using source = await openCells(path);
  let pairs = source.cellCount; // each cell's marker, which is left out
  for (let first = 0; first < source.cellCount; first += 1000) {
    const end = Math.min(source.cellCount, first + 1000);
    pairs += (await source.read(rowRange(first, end))).counts.length;
  }
  return pairs;
}

/** A module that may not be installed; its types are not needed. */
async function installed(name: string): Promise<Record<string, never> | undefined> {
  try {
    return (await import(name)) as Record<string, never>;
  } catch {
    return undefined;
  }
}

interface Hyparquet {
  asyncBufferFromFile(path: string): Promise<unknown>;
  parquetRead(options: {
    file: unknown;
    columns: readonly string[];
    compressors: unknown;
    onChunk(chunk: { columnName: string; columnData: readonly Lists[] }): void;
  }): Promise<void>;
}

async function hyparquet(): Promise<Read | undefined> {
  const library = (await installed("hyparquet")) as Hyparquet | undefined;
  const { compressors } = (await installed("hyparquet-compressors")) ?? {};
  if (library === undefined || compressors === undefined) return undefined;
  return async (path) => {
    const file = await library.asyncBufferFromFile(path);
    const found = { genes: 0, expressions: 0 };
    await library.parquetRead({
      file,
      columns: COLUMNS,
      compressors,
      onChunk: ({ columnName, columnData }) => {
        const Numbers = columnName === "genes" ? Int32Array : Float32Array;
        for (const list of columnData)
          found[columnName as keyof typeof found] += new Numbers(
            Array.from(list as ArrayLike<number>, Number),
          ).length;
      },
    });
    return found.genes;
  };
}

interface ParquetWasm {
  readParquet(bytes: Uint8Array, options: { columns: readonly string[] }): { intoIPCStream(): Uint8Array };
}

async function parquetWasm(): Promise<Read | undefined> {
  const library = (await installed("parquet-wasm")) as ParquetWasm | undefined;
  if (library === undefined) return undefined;
  return async (path) => {
    const stream = library.readParquet(readFileSync(path), { columns: COLUMNS }).intoIPCStream();
    let pairs = 0;
    for (const batch of RecordBatchReader.from(stream))
      pairs += (batch.getChildAt(0)?.data[0]?.children[0]?.values as Lists | undefined)?.length ?? 0;
    return pairs;
  };
}

interface DuckDb {
  readonly DuckDBInstance: {
    create(): Promise<{
      connect(): Promise<{ stream(sql: string): Promise<{ fetchChunk(): Promise<DuckDbChunk | null> }> }>;
    }>;
  };
}

interface DuckDbChunk {
  readonly rowCount: number;
  getColumnVector(column: number): { readonly childVector: { readonly items: Lists } };
}

async function duckDb(): Promise<Read | undefined> {
  const library = (await installed("@duckdb/node-api")) as DuckDb | undefined;
  if (library === undefined) return undefined;
  const connection = await (await library.DuckDBInstance.create()).connect();
  return async (path) => {
    const sql = `select genes::integer[], expressions::float[] from read_parquet('${path}')`;
    const result = await connection.stream(sql);
    let pairs = 0;
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return pairs;
      const [genes, expressions] = [chunk.getColumnVector(0), chunk.getColumnVector(1)];
      if (genes.childVector.items.length === expressions.childVector.items.length)
        pairs += genes.childVector.items.length;
    }
  };
}

/** The readers by name, ours first; says how to get those that are missing. */
export async function parquetReaders(): Promise<ReadonlyMap<string, Read>> {
  const found: readonly [string, Read | undefined][] = [
    ["ddsc", readOurs],
    ["hyparquet", await hyparquet()],
    ["parquet-wasm", await parquetWasm()],
    ["@duckdb/node-api", await duckDb()],
  ];
  if (found.some(([, read]) => read === undefined))
    console.error(`for all peers: npm install --no-save ${PEERS.join(" ")}`);
  return new Map(found.flatMap(([name, read]) => (read === undefined ? [] : [[name, read] as const])));
}
