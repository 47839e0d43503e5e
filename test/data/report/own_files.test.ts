import { link, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { convertCells } from "../../../lib/data/report/convert.js";
import { refuseOwnFiles } from "../../../lib/data/report/own_files.js";
import { SimulatedSource } from "../../../lib/data/sources/simulated_source.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";

let root: string;
let file: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-own-"));
  await mkdir(join(root, "data"));
  file = join(root, "data", "cells.h5ad");
  await convertCells(new SimulatedSource({ cells: 20, genes: 8, seed: 1 }), file);
});
afterEach(() => rm(root, { recursive: true }));

const CONFLICT = /ARGUMENT_CONFLICT.*write to another place/;

describe("cells are not written over what they are read from", () => {
  it("under whatever name", async () => {
    await symlink(file, join(root, "symlink.h5ad"));
    await symlink(join(root, "data"), join(root, "folder"));
    await link(file, join(root, "hardlink.h5ad"));
    const before = await readFile(file);
    for (const out of [
      file,
      relative(process.cwd(), file),
      join(root, "data", ".", "cells.h5ad"),
      join(root, "symlink.h5ad"),
      join(root, "hardlink.h5ad"),
      join(root, "folder", "cells.h5ad"),
    ]) {
      using source = await openCells(file);
      await expect(convertCells(source, out, { overwrite: true }), out).rejects.toThrow(CONFLICT);
    }
    expect(await readFile(file)).toEqual(before);
  });

  it("where they are chosen from it, or one of several files", async () => {
    const other = join(root, "data", "other.h5ad");
    await convertCells(new SimulatedSource({ cells: 5, genes: 8, seed: 2 }), other);
    using both = await openCells(join(root, "data", "*.h5ad"));
    await expect(refuseOwnFiles(both, other)).rejects.toThrow(CONFLICT);
    await expect(refuseOwnFiles(subsetSource(both, Int32Array.of(0)), other)).rejects.toThrow(CONFLICT);
    await refuseOwnFiles(both, join(root, "data", "new.h5ad"));
  });

  it("in a folder that holds it, the source itself or a link to it", async () => {
    const shards = join(root, "shards");
    using cells = await openCells(file);
    await convertCells(cells, shards);
    const [shard = ""] = (await readdir(shards)).filter((name) => name.startsWith("train-"));
    const linked = join(root, "linked");
    await mkdir(linked);
    for (const name of [shard, "gene_metadata.parquet"])
      await symlink(join(shards, name), join(linked, name));
    for (const [path, out] of [
      [shards, shards],
      [join(shards, shard), shards],
      [join(shards, shard), root],
      [join(linked, shard), linked],
    ] as const) {
      using source = await openCells(path);
      await expect(convertCells(source, out, { overwrite: true }), out).rejects.toThrow(CONFLICT);
    }
    expect(await readdir(shards)).toContain(shard);
    expect(await readdir(linked)).toContain(shard);
  });

  it("as a file of its folder; AnnData is none of that", async () => {
    const matrix = "test/fixtures/matrix_market/pattern";
    const copy = join(root, "matrix");
    await mkdir(copy);
    for (const name of await readdir(matrix))
      await writeFile(join(copy, name), await readFile(join(matrix, name)));
    using source = await openCells(copy);
    const [name = ""] = await readdir(copy);
    await expect(refuseOwnFiles(source, join(copy, name))).rejects.toThrow(CONFLICT);
    for (const name of ["cells.h5ad", "cells.zarr"]) {
      const out = join(copy, name);
      await convertCells(source, out);
      await convertCells(source, out, { overwrite: true });
    }
  });

  it("simulated cells can be written anywhere", async () => {
    await refuseOwnFiles(new SimulatedSource({ cells: 1, genes: 8, seed: 1 }), file);
  });
});
