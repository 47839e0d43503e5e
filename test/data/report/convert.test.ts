import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DdscError } from "../../../lib/base/errors.js";
import { processSpace } from "../../../lib/base/processes.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { convertCells } from "../../../lib/data/report/convert.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import { allIds, columnValues, denseAll, failure, fixture, temporaryFolder } from "../support.js";

const STUDY = { cells: 130, genes: 30, seed: 4 } as const;

describe("a conversion to Parquet files", () => {
  it("keeps cells, genes, names and metadata, in files of so many cells", async () => {
    const folder = join(temporaryFolder(), "shards");
    using source = new SimulatedSource(STUDY);
    const seen: number[] = [];
    const done = await convertCells(source, folder, {
      cellsPerFile: 50,
      onProgress: (cells) => seen.push(cells),
    });
    expect(done).toMatchObject({ cells: 130, genes: 30, files: 3, kept: 0, notes: [] });
    expect(seen.at(-1)).toBe(130);
    expect(readdirSync(folder).sort()).toEqual([
      "gene_metadata.parquet",
      "train-00000-of-00003.parquet",
      "train-00001-of-00003.parquet",
      "train-00002-of-00003.parquet",
      "vocab.json",
    ]);
    using copy = await openCells(folder);
    expect(await denseAll(copy)).toEqual(await denseAll(source));
    expect(copy.genes.map(({ id }) => id)).toEqual(source.genes.map(({ id }) => id));
    expect(await allIds(copy)).toEqual(await allIds(source));
    for (const column of ["cell_type", "library_size"]) {
      expect(await columnValues(copy, column)).toEqual(await columnValues(source, column));
    }
  });

  it("is read again by a pattern, which fits the table of genes, too", async () => {
    const folder = join(temporaryFolder(), "shards");
    using source = new SimulatedSource(STUDY);
    await convertCells(source, folder, { cellsPerFile: 50 });
    using copy = await openCells(join(folder, "*.parquet"));
    expect(await denseAll(copy)).toEqual(await denseAll(source));
    const table = join(folder, "gene_metadata.parquet");
    expect((await failure(() => openCells(table))).message).toContain("a table of genes and their tokens");
  });

  it("goes on with the first file that is missing, wherever it was stopped", async () => {
    const folder = join(temporaryFolder(), "shards");
    using source = new SimulatedSource(STUDY);
    const stop = new AbortController();
    const stopped = convertCells(source, folder, {
      cellsPerFile: 50,
      signal: stop.signal,
      onProgress: (cells) => cells >= 50 && stop.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    const first = join(folder, "train-00000-of-00003.parquet");
    const before = statSync(first).mtimeMs;
    // What a kill leaves.
    const killed = `${await processSpace()}-${spawnSync(process.execPath, ["--version"]).pid}`;
    writeFileSync(join(folder, `.train-00001-of-00003.parquet.${killed}-0a1b2c3d.tmp`), "half");
    writeFileSync(join(folder, ".conversion.lock"), "");
    expect(await convertCells(source, folder, { cellsPerFile: 50 })).toMatchObject({ files: 3, kept: 1 });
    expect(statSync(first).mtimeMs).toBe(before);
    expect(readdirSync(folder)).toHaveLength(5);
    using copy = await openCells(folder);
    expect(await denseAll(copy)).toEqual(await denseAll(source));
  });

  it("goes on with no other cells, and replaces nothing that is not its own", async () => {
    const folder = join(temporaryFolder(), "shards");
    using source = new SimulatedSource(STUDY);
    await convertCells(source, folder, { cellsPerFile: 100 });
    expect((await failure(() => convertCells(source, folder))).code).toBe("FILE_EXISTS");
    writeFileSync(join(folder, ".conversion.json"), "{}");
    const error = await failure(() => convertCells(source, folder));
    expect(error.message).toContain("unfinished conversion of other cells");
    await convertCells(source, folder, { overwrite: true });
    expect(readdirSync(folder)).toContain("train-00000-of-00001.parquet");
    expect(readdirSync(folder)).toHaveLength(3);
    writeFileSync(join(folder, "thesis.txt"), "mine");
    expect((await failure(() => convertCells(source, folder, { overwrite: true }))).code).toBe("FILE_EXISTS");
    expect(readFileSync(join(folder, "thesis.txt"), "utf8")).toBe("mine");
  });

  it("keeps a folder to itself while it is under way", async () => {
    const folder = join(temporaryFolder(), "shards");
    using source = new SimulatedSource(STUDY);
    using other = new SimulatedSource({ ...STUDY, seed: 9 });
    let second: Promise<DdscError[]> | undefined;
    await convertCells(source, folder, {
      cellsPerFile: 50,
      onProgress: () => {
        second ??= Promise.all(
          [source, other].map((cells) =>
            failure(() => convertCells(cells, folder, { cellsPerFile: 50, overwrite: true })),
          ),
        );
      },
    });
    for (const error of (await second) ?? []) {
      expect(error.code).toBe("FILE_EXISTS");
      expect(error.message).toContain(`process ${process.pid} writes a conversion into it`);
    }
    expect(second).toBeDefined();
    using copy = await openCells(folder);
    expect(await denseAll(copy)).toEqual(await denseAll(source));
  });

  it("renames a metadata column whose name the layout uses", async () => {
    const folder = join(temporaryFolder(), "shards");
    using source = await openCells(fixture("csr"), { layer: "counts" });
    const { notes } = await convertCells(source, folder);
    expect(notes).toEqual(['the metadata column "genes" is written as "genes_1": the layout uses that name']);
    using copy = await openCells(folder);
    expect((await columnValues(copy, "genes_1")).map(Number)).toEqual([0, 10, 20, 30, 40, 50]);
    expect(await columnValues(copy, "stage")).toEqual(await columnValues(source, "stage"));
    expect(copy.genes[1]).toMatchObject({ id: "Sox17", aliases: ["ENSMUSG00000000001"] });
  });
});

it("a conversion to .h5ad replaces a file only when it is told to", async () => {
  const path = join(temporaryFolder(), "copy.h5ad");
  using source = new SimulatedSource(STUDY);
  writeFileSync(path, "mine");
  expect((await failure(() => convertCells(source, path))).code).toBe("FILE_EXISTS");
  expect(readFileSync(path, "utf8")).toBe("mine");
  await convertCells(source, path, { overwrite: true });
  using copy = await openCells(path);
  expect(await denseAll(copy)).toEqual(await denseAll(source));
});

it("a conversion to .h5ad keeps columns as typed", async () => {
  const path = join(temporaryFolder(), "copy.h5ad");
  using source = await openCells(fixture("csr"), { layer: "counts" });
  expect(await convertCells(source, path)).toMatchObject({ cells: 6, genes: 5, files: 1 });
  using copy = await openCells(path);
  expect(await denseAll(copy)).toEqual(await denseAll(source));
  expect((await framesOf(copy)).obs).toEqual((await framesOf(source)).obs);
  rmSync(path);
});
