import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compressChunk } from "../../../lib/data/chunk_stream.js";
import { bytesOf } from "../../../lib/data/hierarchy_writer.js";
import { type JoinedArray, joinChunks, type Piece } from "../../../lib/data/shards/join_chunks.js";
import { ZarrFile } from "../../../lib/data/zarr/file.js";
import { type ChunkGrid, chunkFile, ZarrWriter } from "../../../lib/data/zarr/write.js";
import { together } from "../../cluster/in_process.js";

let root: string;
let stores = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-join-"));
});
afterAll(() => rm(root, { recursive: true }));

/** An array of rows of `width` numbers (0: a vector), in chunks of so many rows. */
function gridOf(rows: number, width: number, chunkRows: number): ChunkGrid {
  const rest = width === 0 ? [] : [width];
  const chunks = Math.ceil(rows / chunkRows);
  return { path: "/layers/a", type: "int32", shape: [rows, ...rest], chunk: [chunkRows, ...rest], chunks };
}

/** A store of one array, written chunk by chunk here. */
async function writeStore(values: Int32Array, grid: ChunkGrid): Promise<string> {
  const folder = join(root, `store-${stores++}.zarr`);
  const writer = await ZarrWriter.create(folder, folder);
  await writer.arrayOf(grid, {});
  await writer.close();
  const size = grid.chunk.reduce((product, extent) => product * extent, 1);
  for (let number = 0; number < grid.chunks; number++) {
    const chunk = new Int32Array(size);
    chunk.set(values.subarray(number * size, (number + 1) * size));
    await writeFile(join(folder, chunkFile(grid, number)), await compressChunk(bytesOf(chunk), 4));
  }
  return folder;
}

/** Joins pieces on so many ranks: the store, and what each rank did. */
async function joinOn(world: number, grid: ChunkGrid, pieces: readonly Piece[], below?: number) {
  const folder = await writeStore(new Int32Array(0), { ...grid, chunks: 0 });
  const array: JoinedArray = { grid, pieces, ...(below === undefined ? {} : { below }) };
  const done = await together(world, (cluster) =>
    joinChunks(folder, [array], { cluster, signal: undefined, onChunk: () => undefined }),
  );
  return { folder, done };
}

async function valuesIn(folder: string, rows: number): Promise<number[]> {
  using file = await ZarrFile.open(folder);
  return Array.from(await (await file.array("/layers/a")).numbers(0, rows), Number);
}

describe("joinChunks", () => {
  it("puts rows of any parts end to end for any chunks and ranks, and links the chunks that parts have", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 13 }), fc.constantFrom(4, 8)), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(0, 1, 3),
        fc.integer({ min: 1, max: 4 }),
        async (sizes, chunkRows, width, world) => {
          const across = Math.max(1, width);
          const total = sizes.reduce((sum, rows) => sum + rows, 0);
          const all = Int32Array.from({ length: total * across }, (_, i) => 7 * i + 1);
          const grid = gridOf(total, width, chunkRows);
          const pieces: Piece[] = [];
          let start = 0;
          let expected = 0;
          for (const rows of sizes) {
            const own = all.subarray(start * across, (start + rows) * across);
            const part = await writeStore(own, gridOf(rows, width, chunkRows));
            pieces.push({ part, skip: 0, rows, add: 0 });
            const isAligned = start % chunkRows === 0;
            if (isAligned) expected += Math.floor(rows / chunkRows);
            // The whole's last chunk, where it is a part's last one and no empty part comes after.
            const isLast = pieces.length === sizes.length && rows % chunkRows > 0;
            if (isAligned && isLast) expected++;
            start += rows;
          }
          const { folder, done } = await joinOn(world, grid, pieces);
          expect(await valuesIn(folder, total)).toEqual(Array.from(all));
          const sum = (name: "linked" | "written") => done.reduce((sum, each) => sum + each[name], 0);
          expect(sum("linked")).toBe(expected);
          expect(sum("linked") + sum("written")).toBe(grid.chunks);
          // As one process would have written them, to the byte.
          const once = await writeStore(all, grid);
          for (let number = 0; number < grid.chunks; number++) {
            const name = chunkFile(grid, number);
            expect(await readFile(join(folder, name))).toEqual(await readFile(join(once, name)));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("adds what stands before to bounds, and leaves out the bound that two parts share", async () => {
    const first = await writeStore(Int32Array.of(0, 2, 5), gridOf(3, 0, 2));
    const second = await writeStore(Int32Array.of(0, 1, 1, 4), gridOf(4, 0, 2));
    const pieces = [
      { part: first, skip: 0, rows: 3, add: 0 },
      { part: second, skip: 1, rows: 3, add: 5 },
    ];
    const { folder, done } = await joinOn(1, gridOf(6, 0, 2), pieces);
    expect(await valuesIn(folder, 6)).toEqual([0, 2, 5, 6, 6, 9]);
    expect(done).toMatchObject([{ linked: 1, written: 2 }]);
    expect((await stat(join(folder, "layers/a/0"))).ino).toBe((await stat(join(first, "layers/a/0"))).ino);
  });

  it("does not take over chunks that are encoded otherwise, or are not there", async () => {
    const values = Int32Array.of(1, 2, 3, 4);
    const grid = gridOf(4, 0, 2);
    const part = await writeStore(values, grid);
    const place = join(part, "layers/a");
    await rm(join(place, "1"));
    expect(await valuesIn(part, 4)).toEqual([1, 2, 0, 0]);
    const pieces = [{ part, skip: 0, rows: 4, add: 0 }];
    const sparse = await joinOn(1, grid, pieces);
    expect([await valuesIn(sparse.folder, 4), sparse.done]).toEqual([
      [1, 2, 0, 0],
      [expect.objectContaining({ linked: 1, written: 1 })],
    ]);
    const document = JSON.parse(await readFile(join(place, ".zarray"), "utf8"));
    await writeFile(join(place, ".zarray"), JSON.stringify({ ...document, compressor: null, filters: null }));
    await writeFile(join(place, "0"), bytesOf(Int32Array.of(8, 9)));
    const raw = await joinOn(1, grid, pieces);
    expect([await valuesIn(raw.folder, 4), raw.done]).toEqual([
      [8, 9, 0, 0],
      [expect.objectContaining({ linked: 0, written: 2 })],
    ]);
  });

  it("refuses columns out of range, and a chunk that is there already", async () => {
    const part = await writeStore(Int32Array.of(1, 7), gridOf(2, 0, 3));
    const pieces = [{ part, skip: 0, rows: 2, add: 0 }];
    const corrupt = expect.objectContaining({
      code: "DATA_CORRUPT",
      message: expect.stringContaining("column 7 of 7"),
    });
    await expect(joinOn(1, gridOf(2, 0, 2), pieces, 7)).rejects.toThrow(corrupt);
    const folder = await writeStore(Int32Array.of(0, 0), gridOf(2, 0, 2));
    await mkdir(join(folder, "layers"), { recursive: true });
    const again = joinChunks(folder, [{ grid: gridOf(2, 0, 2), pieces }], {
      cluster: (await together(1, async (cluster) => cluster))[0]!,
      signal: undefined,
      onChunk: () => undefined,
    });
    await expect(again).rejects.toThrow(/EEXIST/);
  });
});
