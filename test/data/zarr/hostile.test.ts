import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { ZarrFile } from "../../../lib/data/zarr/file.js";
import { zipArchive } from "../io/zip_support.js";
import { CELLS, failure, temporaryFolder, zarrFixture } from "../support.js";

/** A group in a store of version 3 or 2, and the name of the file that makes it one. */
const GROUPS = [
  ["zarr.json", JSON.stringify({ zarr_format: 3, node_type: "group", attributes: {} })],
  [".zgroup", JSON.stringify({ zarr_format: 2 })],
] as const;

describe("metadata of a zarr store", () => {
  it.each(GROUPS)(
    "is refused where it is larger than 8 MB, in a folder and in an archive (%s)",
    async (name) => {
      const text = Buffer.alloc(9 * 2 ** 20, "[");
      const folder = join(temporaryFolder(), "store.zarr");
      mkdirSync(folder);
      writeFileSync(join(folder, name), text);
      const archive = join(temporaryFolder(), "store.zip");
      writeFileSync(archive, zipArchive([{ name, bytes: text }]));
      for (const path of [folder, archive])
        await expect(ZarrFile.open(path)).rejects.toMatchObject({
          code: "DATA_TOO_LARGE",
          message: expect.stringContaining(`/${name} has 9437184 bytes, and metadata at most 8388608`),
        });
    },
  );

  it.each(GROUPS)("is refused where it is nested without end (%s)", async (name, good) => {
    const path = join(temporaryFolder(), "store.zarr");
    mkdirSync(join(path, "X"), { recursive: true });
    writeFileSync(join(path, name), good);
    writeFileSync(join(path, "X", name), '{"a":'.repeat(2 ** 20));
    using file = await ZarrFile.open(path);
    const error = await failure(() => file.kind("/X"));
    expect(error.code).toBe("DATA_CORRUPT");
  });
});

/** A copy of a small AnnData store that is good. */
function copy(): string {
  const path = join(temporaryFolder(), "cells.zarr");
  cpSync(zarrFixture("v3_sharded.zarr"), path, { recursive: true });
  return path;
}

function edit(file: string, change: (attributes: Record<string, unknown>) => void): void {
  const document = JSON.parse(readFileSync(file, "utf8"));
  change(document.attributes);
  writeFileSync(file, JSON.stringify(document));
}

/** Where the attributes of a group are. */
function attributesOf(store: string, group: string): string {
  return join(store, group, "zarr.json");
}

describe("a zarr store that leads out of itself", () => {
  it.each([
    ["column-order", ["../../other.zarr/obs/secret"]],
    ["column-order", [".."]],
    ["_index", "../../other.zarr/obs/_index"],
  ] as const)("by %s %j is refused", async (name, value) => {
    const path = copy();
    cpSync(path, join(path, "..", "other.zarr"), { recursive: true });
    edit(attributesOf(path, "obs"), (attributes) => {
      attributes[name] = value;
    });
    const error = await failure(() => openCells(path));
    expect(error.code).toBe("DATA_UNSUPPORTED");
    expect(error.message).toContain('leads out of the store (a name of "." or "..")');
  });

  it("by a symbolic link to a folder or file is refused, and one within the store is not", async () => {
    const path = copy();
    const other = join(path, "..", "X");
    renameSync(join(path, "X"), other);
    symlinkSync(other, join(path, "X"));
    const error = await failure(() => openCells(path));
    expect(error.code).toBe("DATA_UNSUPPORTED");
    expect(error.message).toContain("a symbolic link to");
    rmSync(join(path, "X"));
    renameSync(other, join(path, "matrix"));
    symlinkSync("matrix", join(path, "X"));
    using source = await openCells(path);
    expect(source.cellCount).toBe(CELLS.length);
    const linked = join(path, "..", "linked.zarr");
    symlinkSync(path, linked);
    using again = await openCells(linked);
    expect(again.cellCount).toBe(CELLS.length);
  });

  it("or holds a pipe for a file is refused at once", async () => {
    const path = copy();
    const file = attributesOf(path, "X");
    rmSync(file);
    execFileSync("mkfifo", [file]);
    const error = await failure(() => openCells(path));
    expect(error.code).toBe("DATA_UNREADABLE");
    expect(error.message).toContain("it is a pipe");
  });
});
