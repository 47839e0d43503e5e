import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeFlushed } from "../../lib/model/folder.js";
import { RunFolder } from "../../lib/training/run_folder.js";
import { LOCK_FILE } from "../../lib/training/run_lock.js";

let root: string;
let path: string;
/** Folders that a test keeps locked until its end. */
let opened: RunFolder[];
beforeEach(async () => {
  opened = [];
  root = await mkdtemp(join(tmpdir(), "ddsc-run-"));
  path = join(root, "run");
});
afterEach(async () => {
  for (const run of opened) await run[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

const fill =
  (text = "{}") =>
  async (folder: string) => {
    await writeFlushed(join(folder, "config.json"), text);
    await writeFlushed(join(folder, "training.json"), text);
  };

async function runWith(steps: readonly number[], last: number, best?: number): Promise<RunFolder> {
  const run = await RunFolder.create(path);
  opened.push(run);
  for (const step of steps) await run.add(step, fill());
  await run.pointTo("last", last);
  if (best !== undefined) await run.pointTo("best", best);
  return run;
}

/** Names in the folder of a run, its lock left out. */
async function names(): Promise<string[]> {
  return (await readdir(path)).filter((name) => name !== LOCK_FILE).sort();
}

describe("a run's folder", () => {
  it("has links to its last and its best checkpoint that move with it", async () => {
    await runWith([1, 2], 2, 1);
    expect(await readlink(join(path, "last"))).toBe("step-2");
    expect(await readFile(join(path, "best", "training.json"), "utf8")).toBe("{}");
  });

  it("keeps the newest checkpoints and those that are named", async () => {
    const run = await runWith([1, 2, 10, 20, 30], 30, 2);
    await run.prune(2, [30, 2]);
    expect(await run.steps()).toEqual([2, 20, 30]);
    expect(await names()).toEqual(["best", "last", "step-2", "step-20", "step-30"]);
  });

  it("never changes a checkpoint that is there", async () => {
    const run = await runWith([1], 1);
    await run.add(1, fill("other"));
    expect(await readFile(join(path, "step-1", "training.json"), "utf8")).toBe("{}");
  });

  it("keeps its links as they were when a checkpoint cannot be written", async () => {
    const run = await runWith([1], 1);
    const full = Object.assign(new Error("full"), { code: "ENOSPC" });
    await expect(
      run.add(2, async (folder) => {
        await fill()(folder);
        throw full;
      }),
    ).rejects.toThrow(/FILE_WRITE.*disk is full/);
    expect(await names()).toEqual(["last", "step-1"]);
  });

  it("is put right after a kill: temporary files and checkpoints after the last are gone, best is where it was", async () => {
    const run = await runWith([1, 2, 3], 2, 1);
    await mkdir(join(path, ".step-4.deadbeef-17-0a1b2c3d.tmp"));
    await writeFile(join(path, ".last.deadbeef-17-0a1b2c3d.tmp"), "");
    await writeFile(join(path, "notes.txt"), "the user's");
    await run.repair(2, 2);
    expect(await names()).toEqual(["best", "last", "notes.txt", "step-1", "step-2"]);
    expect(await readlink(join(path, "best"))).toBe("step-2");
  });

  it("is not used for a second run", async () => {
    await runWith([1], 1);
    await expect(RunFolder.create(path)).rejects.toThrow(/RUN_EXISTS.*--resume.*--overwrite/);
    await rm(join(path, "last"));
    await expect(RunFolder.create(path)).rejects.toThrow(/RUN_EXISTS/);
  });

  it("is used again after a kill before its first checkpoint was complete", async () => {
    await using run = await RunFolder.create(path);
    await run.add(0, fill());
    await mkdir(join(path, ".step-0.deadbeef-17-0a1b2c3d.tmp"));
    await run[Symbol.asyncDispose]();
    await using _again = await RunFolder.create(path);
    expect(await names()).toEqual([]);
  });

  it.each([false, true])("is not begun among files of something else (overwrite: %s)", async (overwrite) => {
    await mkdir(join(path, "src"), { recursive: true });
    await writeFile(join(path, "cells.h5ad"), "precious");
    await expect(RunFolder.create(path, { overwrite })).rejects.toThrow(/FILE_EXISTS.*holds "cells\.h5ad"/);
    expect(await names()).toEqual(["cells.h5ad", "src"]);
    const file = join(path, "cells.h5ad");
    await expect(RunFolder.create(file, { overwrite })).rejects.toThrow(/FILE_EXISTS.*is a file/);
  });

  it.each(["step-3", "last", "metrics.jsonl"])("takes a user's own %s for no run's", async (name) => {
    await mkdir(join(path, name), { recursive: true });
    await writeFile(join(path, name, "own"), "precious");
    await expect(RunFolder.create(path, { overwrite: true })).rejects.toThrow(/FILE_EXISTS/);
    expect(await readFile(join(path, name, "own"), "utf8")).toBe("precious");
  });

  it("loses the run where it is replaced, and nothing else", async () => {
    const run = await runWith([1, 2], 2, 1);
    await run[Symbol.asyncDispose]();
    await writeFile(join(path, "metrics.jsonl"), "{}\n");
    await writeFile(join(path, "notes.txt"), "the user's");
    await mkdir(join(path, "step-by-step"));
    await mkdir(join(path, "step-7"));
    await using _again = await RunFolder.create(path, { overwrite: true });
    expect(await names()).toEqual(["notes.txt", "step-7", "step-by-step"]);
  });

  it("is gone when its run is discarded, if it was made for it, and else empty", async () => {
    const deep = join(root, "a", "b");
    const made = await RunFolder.create(deep);
    await made.add(0, fill());
    await made.pointTo("last", 0);
    await made.discard();
    expect(await readdir(root)).toEqual([]);
    await mkdir(deep, { recursive: true });
    const found = await RunFolder.create(deep);
    await found.add(0, fill());
    await found.discard();
    expect(await readdir(deep)).toEqual([]);
  });

  it("is locked against other trainings until it is disposed of", async () => {
    const run = await runWith([1], 1);
    await expect(RunFolder.open(path)).rejects.toThrow(/RUN_LOCKED.*process \d+ trains in it/);
    await expect(RunFolder.create(path, { overwrite: true })).rejects.toThrow(/RUN_LOCKED/);
    await expect(RunFolder.check(path, { overwrite: true })).rejects.toThrow(/RUN_LOCKED/);
    await run[Symbol.asyncDispose]();
    await using _next = await RunFolder.open(path);
    expect(await names()).toEqual(["last", "step-1"]);
  });

  it("cannot be opened without a checkpoint", async () => {
    await expect(RunFolder.open(path)).rejects.toThrow(/CHECKPOINT_READ.*no checkpoint "last"/);
    await mkdir(join(path, "last"), { recursive: true });
    await expect(RunFolder.open(path)).rejects.toThrow(/CHECKPOINT_READ/);
  });
});
