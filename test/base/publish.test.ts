import { fork, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { processSpace } from "../../lib/base/processes.js";
import { writeAtomically, writeFileAtomic, writeFolderAtomically } from "../../lib/base/publish.js";
import { temporaryFor, temporaryName } from "../../lib/base/temporary.js";
import { failure, temporaryFolder } from "../data/support.js";
import { nodeProgram } from "../node_program.js";

/** Processes that write to one path at the same time, each its own number; what each said in the end. */
async function writeAtOnce(kind: string, path: string, overwrite: boolean): Promise<string[]> {
  const words = await nodeProgram(new URL("publish_child.ts", import.meta.url));
  const [program = "", options] = [words.at(-1), words.slice(0, -1)];
  const children = [1, 2, 3, 4].map((number) =>
    fork(program, [kind, path, String(number), String(overwrite)], { execArgv: options }),
  );
  const said = children.map(
    (each) =>
      new Promise<string>((resolve, reject) => {
        each.on("message", (message) => {
          if (message !== "ready") resolve(String(message));
        });
        each.on("error", reject);
      }),
  );
  // All have their contents ready before the first is moved into place.
  await Promise.all(children.map((each) => new Promise((resolve) => each.once("message", resolve))));
  for (const each of children) each.send("go");
  return Promise.all(said);
}

describe.each(["file", "folder", "store"])("of processes that write one new %s at once", (kind) => {
  it("one wins and the others learn that something is there", async () => {
    const path = join(temporaryFolder(), kind === "store" ? "out.zarr" : "out");
    const said = await writeAtOnce(kind, path, false);
    expect(said.toSorted()).toEqual(["FILE_EXISTS", "FILE_EXISTS", "FILE_EXISTS", "written"]);
    const winner = String(said.indexOf("written") + 1);
    const content = kind === "file" ? path : join(path, "a.txt");
    if (kind !== "store") expect(readFileSync(content, "utf8")).toBe(winner);
    expect(readdirSync(dirname(path))).toHaveLength(1);
  });

  it("all end well where they were told to replace it, and nothing of the others is left", async () => {
    const path = join(temporaryFolder(), kind === "store" ? "out.zarr" : "out");
    expect(await writeAtOnce(kind, path, true)).toEqual(["written", "written", "written", "written"]);
    expect(readdirSync(dirname(path))).toHaveLength(1);
  });
});

it("what comes while a file is written is kept, be it a broken link or an empty file", async () => {
  for (const occupy of [
    (path: string) => writeFileSync(path, ""),
    (path: string) => symlinkSync("nowhere", path),
    (path: string) => mkdirSync(path),
  ]) {
    const folder = temporaryFolder();
    const path = join(folder, "out");
    const write = async (temporary: string) => {
      writeFileSync(temporary, "new");
      occupy(path);
    };
    const error = await failure(() => writeAtomically(path, write, { overwrite: false }));
    expect(error.code).toBe("FILE_EXISTS");
    expect(readdirSync(folder)).toEqual(["out"]);
  }
});

it("an empty folder is taken, a full one and a file are not", async () => {
  const folder = temporaryFolder();
  const write = async (temporary: string) => {
    mkdirSync(temporary);
    writeFileSync(join(temporary, "a.txt"), "new");
  };
  mkdirSync(join(folder, "empty"));
  await writeFolderAtomically(join(folder, "empty"), write, { overwrite: false });
  expect(readFileSync(join(folder, "empty", "a.txt"), "utf8")).toBe("new");
  writeFileSync(join(folder, "file"), "mine");
  for (const name of ["empty", "file"]) {
    const error = await failure(() => writeFolderAtomically(join(folder, name), write, { overwrite: false }));
    expect(error.code).toBe("FILE_EXISTS");
  }
  expect(readFileSync(join(folder, "file"), "utf8")).toBe("mine");
  expect(readdirSync(folder).toSorted()).toEqual(["empty", "file"]);
});

describe("what a killed process left", () => {
  /** Number of a process that has ended. */
  const ended = (): number => spawnSync(process.execPath, ["--version"]).pid;

  it("is removed by the next that writes there, and nothing else is", async () => {
    const folder = temporaryFolder();
    const space = await processSpace();
    const gone = ended();
    const kept = [
      // Of a live process, of another machine, of another file, and not ours by its form.
      `.out.h5ad.${space}-${process.ppid}-0a1b2c3d.tmp`,
      `.out.h5ad.00000000-${gone}-0a1b2c3d.tmp`,
      `.other.h5ad.${space}-${gone}-0a1b2c3d.tmp`,
      `out.h5ad.${space}-${gone}-0a1b2c3d.tmp`,
      `.out.h5ad.${space}-${gone}-0a1b2c3d.tmp.gz`,
      ".out.h5ad.tmp",
    ];
    const removed = [`.out.h5ad.${space}-${gone}-0a1b2c3d.tmp`, `.out.h5ad.${space}-${gone}-ffffffff.tmp`];
    for (const name of [...kept, ...removed]) writeFileSync(join(folder, name), "half");
    await writeFileAtomic(join(folder, "out.h5ad"), "whole");
    expect(readdirSync(folder).toSorted()).toEqual([...kept, "out.h5ad"].toSorted());
  });

  it("is removed where it is a folder", async () => {
    const folder = temporaryFolder();
    const left = join(folder, `.out.zarr.${await processSpace()}-${ended()}-0a1b2c3d.tmp`);
    mkdirSync(join(left, "X"), { recursive: true });
    await writeFolderAtomically(join(folder, "out.zarr"), async (temporary) => {
      mkdirSync(temporary);
    });
    expect(existsSync(left)).toBe(false);
  });

  it("has a name that says what it is for", async () => {
    const name = await temporaryName("/data/a b.h5ad");
    expect(name).toMatch(/^\/data\/\.a b\.h5ad\.[0-9a-f]{8}-\d+-[0-9a-f]{8}\.tmp$/);
    expect(temporaryFor(name.slice("/data/".length))).toBe("a b.h5ad");
    expect(temporaryFor("a b.h5ad")).toBeUndefined();
  });
});
