import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeFolder, writeFlushed, writeFolder } from "../../lib/model/folder.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-folder-"));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const fill = (text: string) => (folder: string) => writeFlushed(join(folder, "a.txt"), text);
const diskFull = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

describe("writeFolder", () => {
  it("makes the folder and those above it", async () => {
    const path = join(root, "x", "y");
    await writeFolder(path, fill("one"));
    expect(await readFile(join(path, "a.txt"), "utf8")).toBe("one");
    expect(await readdir(join(root, "x"))).toEqual(["y"]);
  });

  it("replaces a folder of its own files and leaves no other behind", async () => {
    const path = join(root, "x");
    await writeFolder(path, fill("one"));
    await writeFolder(path, fill("two"), ["a.txt"]);
    expect(await readFile(join(path, "a.txt"), "utf8")).toBe("two");
    expect(await readdir(root)).toEqual(["x"]);
  });

  it("does not touch a folder that holds anything else", async () => {
    const path = join(root, "x");
    await mkdir(path);
    await writeFile(join(path, "thesis.tex"), "years of work");
    await expect(writeFolder(path, fill("one"), ["a.txt"])).rejects.toThrow(/FILE_EXISTS.*"thesis.tex"/);
    expect(await readdir(path)).toEqual(["thesis.tex"]);
    expect(await readdir(root)).toEqual(["x"]);
  });

  it("leaves what was there and no temporary files when the disk is full half-way", async () => {
    const path = join(root, "x");
    await writeFolder(path, fill("one"));
    const attempt = writeFolder(
      path,
      async (folder) => {
        await fill("two")(folder);
        throw diskFull;
      },
      ["a.txt"],
    );
    await expect(attempt).rejects.toThrow(/FILE_WRITE.*disk is full/);
    expect(await readFile(join(path, "a.txt"), "utf8")).toBe("one");
    expect(await readdir(root)).toEqual(["x"]);
  });

  it("removes the parent it made when it fails", async () => {
    await expect(writeFolder(join(root, "x", "y"), () => Promise.reject(diskFull))).rejects.toThrow(
      /FILE_WRITE/,
    );
    expect(await readdir(root)).toEqual([]);
  });

  it("says that a part of the path is a file", async () => {
    await writeFile(join(root, "file"), "");
    await expect(writeFolder(join(root, "file", "x"), fill("one"))).rejects.toThrow(
      /FILE_WRITE.*file, not a folder/,
    );
    await expect(writeFolder(join(root, "file"), fill("one"))).rejects.toThrow(/FILE_EXISTS/);
  });

  it("removes a folder with all it holds", async () => {
    await writeFolder(join(root, "x"), fill("one"));
    await removeFolder(join(root, "x"));
    expect(await readdir(root)).toEqual([]);
  });
});
