/** Cells as Tahoe-100M has them, made up, for benchmarks of reading. */
import { existsSync, mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  Field,
  List,
  makeData,
  makeVector,
  type RecordBatch,
  Table,
  tableToIPC,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { TahoeShardWriter } from "../lib/data/parquet/write.js";
import type { CellBlock, Gene } from "../lib/data/sources/cells.js";
import { geneTokens, writeGeneTable } from "../lib/data/tahoe/genes_write.js";

const MEASURED_GENES = 20_000;
const BLOCK_CELLS = 1000;

/** Uniform numbers in [0, 1), fast and good enough to make up counts (xorshift). */
function uniforms(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Cells with about `expressed` of the genes each, a few of which are common and many rare, and counts that fall off geometrically. */
function simulate(cells: number, expressed: number, next: () => number): CellBlock {
  const weights = Float64Array.from(
    { length: MEASURED_GENES },
    (_, gene) => 1 / (1 + ((gene * 7919) % MEASURED_GENES) / 400),
  );
  const scale = expressed / weights.reduce((sum, weight) => sum + weight, 0);
  const offsets = new Int32Array(cells + 1);
  const genes: number[] = [];
  const counts: number[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const size = scale * (0.5 + next());
    for (const [gene, weight] of weights.entries()) {
      const chance = 1 - Math.exp(-size * weight);
      if (next() >= chance) continue;
      genes.push(gene);
      counts.push(1 + Math.floor(Math.log(next() + 1e-9) / Math.log(0.3 * chance + 1e-3)));
    }
    offsets[cell + 1] = genes.length;
  }
  const rows = Int32Array.from({ length: cells }, (_, cell) => cell);
  return { rows, offsets, columns: Int32Array.from(genes), counts: Float32Array.from(counts) };
}

/** What shards are written as. */
export type ShardFormat = "parquet" | "arrow";

/** Writes simulated cells as shards of `shardCells` in the layout of Tahoe-100M, unless the folder holds some. */
export async function writeShards(
  folder: string,
  cells: number,
  expressed: number,
  shardCells = 10_000,
  format: ShardFormat = "parquet",
): Promise<void> {
  if (existsSync(join(folder, "gene_metadata.parquet"))) return;
  mkdirSync(folder, { recursive: true });
  const next = uniforms(12_345);
  const tokens = geneTokens(MEASURED_GENES);
  const genes: Gene[] = Array.from(tokens, (token) => ({
    id: `ENSG${String(token).padStart(11, "0")}`,
    aliases: [],
  }));
  for (let first = 0, shard = 0; first < cells; first += shardCells, shard++) {
    const path = join(folder, `train-${String(shard).padStart(5, "0")}.${format}`);
    const writer =
      format === "arrow" ? new ArrowShard(path, tokens) : await TahoeShardWriter.create(path, { tokens });
    for (let start = first; start < Math.min(cells, first + shardCells); start += BLOCK_CELLS) {
      const count = Math.min(BLOCK_CELLS, cells - start);
      const ids = Array.from({ length: count }, (_, i) => `cell-${start + i}`);
      await writer.write(simulate(count, expressed, next), ids);
    }
    await writer.close();
  }
  await writeGeneTable(folder, genes, tokens);
}

/** A shard in Arrow IPC, a batch of rows a block, as Hugging Face `datasets` saves them. */
class ArrowShard {
  readonly #path: string;
  readonly #tokens: Int32Array;
  readonly #batches: RecordBatch[] = [];

  constructor(path: string, tokens: Int32Array) {
    this.#path = path;
    this.#tokens = tokens;
  }

  async write({ offsets, columns, counts }: CellBlock, ids: readonly string[]): Promise<void> {
    const tokens = BigInt64Array.from(columns, (gene) => BigInt(this.#tokens[gene] ?? 0));
    const table = new Table({
      genes: lists(offsets, makeVector(tokens)),
      expressions: lists(offsets, makeVector(counts)),
      BARCODE_SUB_LIB_ID: vectorFromArray(ids, new Utf8()),
    });
    this.#batches.push(...table.batches);
  }

  async close(): Promise<void> {
    await writeFile(this.#path, tableToIPC(new Table(this.#batches), "stream"));
  }
}

function lists(valueOffsets: Int32Array, values: Vector): Vector {
  const [child] = values.data;
  if (child === undefined) throw new Error("a vector of numbers is in one piece");
  const type = new List(new Field("item", values.type, true));
  return new Vector([makeData({ type, length: valueOffsets.length - 1, valueOffsets, child })]);
}
