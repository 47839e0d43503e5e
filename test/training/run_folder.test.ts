import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeFlushed } from "../../lib/model/folder.js";
import { RunFolder } from "../../lib/training/run_folder.js";

let root: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-run-"));
  path = join(root, "run");
});
afterEach(async () => {
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
  for (const step of steps) await run.add(step, fill());
  await run.pointTo("last", last);
  if (best !== undefined) await run.pointTo("best", best);
  return run;
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
    expect((await readdir(path)).sort()).toEqual(["best", "last", "step-2", "step-20", "step-30"]);
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
    expect((await readdir(path)).sort()).toEqual(["last", "step-1"]);
  });

  it("is put right after a kill: temporary files and checkpoints after the last are gone, best is where it was", async () => {
    const run = await runWith([1, 2, 3], 2, 1);
    await mkdir(join(path, ".step-4.0a1b2c3d.tmp"));
    await writeFile(join(path, ".last.0a1b2c3d.tmp"), "");
    await writeFile(join(path, "notes.txt"), "the user's");
    await run.repair(2, 2);
    expect((await readdir(path)).sort()).toEqual(["best", "last", "notes.txt", "step-1", "step-2"]);
    expect(await readlink(join(path, "best"))).toBe("step-2");
  });

  it("is not used for a second run", async () => {
    await runWith([1], 1);
    await expect(RunFolder.create(path)).rejects.toThrow(/RUN_EXISTS/);
    await rm(join(path, "last"));
    await expect(RunFolder.create(path)).rejects.toThrow(/RUN_EXISTS/);
  });

  it("is used again after a kill before its first checkpoint was complete", async () => {
    const run = await RunFolder.create(path);
    await run.add(0, fill());
    await mkdir(join(path, ".step-0.0a1b2c3d.tmp"));
    await RunFolder.create(path);
    expect(await readdir(path)).toEqual([]);
  });

  it("cannot be opened without a checkpoint", async () => {
    await expect(RunFolder.open(path)).rejects.toThrow(/CHECKPOINT_READ.*no checkpoint "last"/);
    await mkdir(join(path, "last"), { recursive: true });
    await expect(RunFolder.open(path)).rejects.toThrow(/CHECKPOINT_READ/);
  });
});
