import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCells } from "../../lib/data/open/open_cells.js";
import { ended, type SmallRun, start, trainRanks } from "./program.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-merge-"));
});
afterAll(() => rm(folder, { recursive: true }));

const run = (words: readonly string[], env: NodeJS.ProcessEnv = {}) => ended(start(words, env));
const SIMULATE = ["convert", "--simulate", "60", "--simulated-genes", "20"];

describe("ddsc --shard and merge", () => {
  it("do the work of an array job task by task, and join it", async () => {
    const out = join(folder, "cells.h5ad");
    const task = (id: number) =>
      run([...SIMULATE, "--out", out, "--shard", "auto"], {
        SLURM_ARRAY_TASK_ID: String(id),
        SLURM_ARRAY_TASK_MIN: "0",
        SLURM_ARRAY_TASK_MAX: "1",
        SLURM_ARRAY_TASK_COUNT: "2",
      });
    const first = await task(0);
    expect(first.code).toBe(0);
    expect(first.stdout).toContain("cells.part-001-of-002.h5ad: 30 cells");
    const early = await run(["merge", "--out", out]);
    expect([early.code, early.stderr]).toEqual([
      1,
      expect.stringMatching(/^ddsc: PARTS_MISSING: .*of 2 parts 2 is missing/),
    ]);
    expect((await task(1)).code).toBe(0);
    expect((await task(1)).stdout).toContain("this part is there already");
    const merged = await run(["merge", "--out", out, "--json", "--quiet"]);
    expect(merged.json()).toEqual({ out, parts: 2, cells: 60, genes: 20 });
    await run([...SIMULATE, "--out", join(folder, "whole.h5ad")]);
    using joined = await openCells(out);
    using whole = await openCells(join(folder, "whole.h5ad"));
    const rows = Int32Array.from({ length: 60 }, (_, row) => row);
    expect(await joined.read(rows)).toEqual(await whole.read(rows));
    expect((await run(["merge", "--out", out])).stderr).toContain("FILE_EXISTS");
    expect((await readdir(folder)).sort()).toEqual([
      "cells.h5ad",
      "cells.part-001-of-002.h5ad",
      "cells.part-002-of-002.h5ad",
      "whole.h5ad",
    ]);
  });

  it("are those of the processes that a launcher started", async () => {
    const out = join(folder, "launched.h5ad");
    for (const rank of ["1", "0"]) {
      // Which nothing connects: they need not run at the same time.
      const { code, stderr } = await run([...SIMULATE, "--out", out], { RANK: rank, WORLD_SIZE: "2" });
      expect(code, stderr).toBe(0);
    }
    expect((await run(["merge", "--out", out, "--json", "--quiet"])).json()).toMatchObject({
      parts: 2,
      cells: 60,
    });
    const wrong = await run([...SIMULATE, "--out", out], { OMPI_COMM_WORLD_RANK: "1" });
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("CLUSTER_ENVIRONMENT")]);
    const off = { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "2", DDSC_CLUSTER: "off" };
    expect((await run([...SIMULATE, "--out", join(folder, "alone.h5ad")], off)).stdout).toContain(
      "alone.h5ad: 60 cells",
    );
  });

  it("write the parts of a zarr store, to be merged, where the launcher does not connect the processes", async () => {
    const out = join(folder, "unconnected.zarr");
    for (const rank of ["0", "1"]) {
      const { code, stderr } = await run([...SIMULATE, "--out", out], { RANK: rank, WORLD_SIZE: "2" });
      expect(code, stderr).toBe(0);
    }
    const merged = await run(["merge", "--out", out], { RANK: "0", WORLD_SIZE: "2" });
    expect(merged.stdout).toMatch(
      /unconnected\.zarr: 60 cells x 20 genes of 2 parts; \d+ chunks taken over, \d+ written/,
    );
  });

  it("say what a shard is", async () => {
    const wrong = await run([...SIMULATE, "--out", join(folder, "x.h5ad"), "--shard", "3/2"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--shard but received "3/2"')]);
    const unset = { SLURM_ARRAY_TASK_ID: "", JOB_COMPLETION_INDEX: "" };
    const unknown = await run([...SIMULATE, "--out", join(folder, "x.h5ad"), "--shard", "auto"], unset);
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("ddsc: SHARD_UNKNOWN:")]);
  });
});

describe("ddsc --shard of a model of ranks", () => {
  let ranks: SmallRun;
  beforeAll(async () => {
    ranks = await trainRanks();
  });
  afterAll(() => rm(ranks.folder, { recursive: true }));

  /** The words of a command that reads the study or writes cells of the model. */
  const words = (work: string) => [...work.replaceAll("DATA", ranks.data).split(" "), "--model", ranks.run];

  it.each([
    // Cells that are there several times, drawn among those of a condition.
    "impute --data DATA --where cell_type!='type-0' --sampler first-hitting --temperature 1 --seed 5 --at-once 3",
    // What is hidden, and which evidence is left out, is drawn, too.
    "impute --data DATA --mask-fraction 0.4 --max-length 8 --sampler ancestral --sampling-steps 3 --temperature 1 --batch 7",
    "generate --genes GENE05,GENE02,GENE11 --cells 11 --data DATA --sampler parallel --sampling-steps 2 --seed 3",
  ])("%s: parts join to the bytes of one process", async (work) => {
    const name = work.replaceAll(/\W+/g, "_");
    const [out, whole] = [join(ranks.folder, `${name}.h5ad`), join(ranks.folder, `${name}-whole.h5ad`)];
    const done = await Promise.all(
      [[out, "--shard", "1/3"], [out, "--shard", "2/3"], [out, "--shard", "3/3"], [whole]].map((to) =>
        run([...words(work), "--out", ...to, "--json"]),
      ),
    );
    expect(done.map(({ code, stderr }) => (code === 0 ? code : stderr))).toEqual([0, 0, 0, 0]);
    expect(done[1]?.json()).toMatchObject({
      out: expect.stringContaining("part-002-of-003.h5ad"),
      kept: false,
    });
    const merged = await run(["merge", "--out", out]);
    expect(merged.code, merged.stderr).toBe(0);
    expect((await readFile(out)).equals(await readFile(whole))).toBe(true);
  });

  it.each(["impute --data DATA", "generate --genes GENE05,GENE02 --cells 60 --seed 3"])(
    "%s: a part that is there is kept, unless it is of other work",
    async (work) => {
      const out = join(ranks.folder, `kept-${work.slice(0, 3)}.zarr`);
      const part = (...more: string[]) =>
        run([...words(work), "--out", out, "--shard", "3/60", "--json", ...more]);
      expect((await part()).json()).toMatchObject({ cells: 1, kept: false });
      const again = await part();
      expect(again.stdout).toContain("part-003-of-060.zarr: this part is there already");
      expect(again.json()).toMatchObject({ kept: true, cells: 1 });
      for (const more of [
        ["--temperature", "0.5"],
        ["--dtype", "bf16"],
      ]) {
        const other = await part(...more);
        expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("ddsc: FILE_EXISTS:")]);
      }
    },
  );

  it("are those of the processes that a launcher started, and no more than there are cells", async () => {
    const out = join(ranks.folder, "launched.zarr");
    const work = [...words("generate --genes GENE05,GENE02 --cells 5"), "--out", out];
    const launched = await run(work, { RANK: "1", WORLD_SIZE: "2" });
    expect(launched.stdout).toContain("launched.part-002-of-002.zarr: 3 cells x 2 genes");
    for (const most of [work, [...words("impute --data DATA"), "--out", out]]) {
      const { code, stderr } = await run([...most, "--shard", "1/61"]);
      expect([code, stderr]).toEqual([
        2,
        expect.stringMatching(/ARGUMENT_RANGE: there are \d+ cells for 61/),
      ]);
    }
  });
});
