import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBuilt } from "../node_program.js";
import { ddsc, type Ended, ended, start, trainRanks, writeStudy } from "./program.js";

let folder: string;
let data: string;
let run: string;
let trained: Ended;

beforeAll(async () => {
  ({ folder, data, run, trained } = await trainRanks());
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc train on ranks", () => {
  it("ends with a summary and one JSON object", () => {
    expect(trained.stderr).toContain("step 3/3");
    expect(trained.code).toBe(0);
    expect(trained.stdout).toMatch(/validation {2}\d+\.\d+ nats a token, \d+\.\d+ bits, perplexity/);
    expect(trained.json()).toMatchObject({
      out: run,
      end: "steps",
      step: 3,
      best: { step: expect.any(Number) },
    });
  });

  it("says what is known of its data before it starts, and once", async () => {
    const out = join(folder, "named-twice");
    const words = ["--steps", "1", "--batch", "8", "--out", out];
    const { stderr } = await ddsc("train", "--values", "ranks", "--data", `${data},${data}`, ...words);
    const [before, ...others] = stderr.split(`${data}: named more than once, read once: ${data}\n`);
    expect(others).toHaveLength(1);
    expect(before).not.toContain("step 1/1");
    expect(others[0]).toContain("step 1/1");
  });

  it("says what it will hold in memory before it starts", () => {
    expect(trained.stdout).toMatch(
      /\nmemory \d+\.\d\d GiB at most: .* parameters, .* for a batch of \d+ tokens; .* GiB available\n/,
    );
    const { memory } = trained.json() as unknown as { memory: Record<string, number> };
    expect(memory.total).toBe(memory.parameters! + memory.activations! + memory.scratch!);
  });

  it.each([
    ["medium", "a smaller --preset"],
    // The sources alone take more than half of that to be translated.
    ["tiny", `${isBuilt ? "--recompute \\(0\\.\\d\\d GiB\\), " : ""}a smaller --batch or a smaller --preset`],
  ])(
    "refuses a run of preset %s that the machine has no memory for, and says what would help",
    async (preset, remedy) => {
      const out = join(folder, "too-large");
      const cells = join(folder, `${preset}.h5ad`);
      await ddsc("convert", "--simulate", "100", "--simulated-genes", "60", "--out", cells);
      const words = [
        "train",
        "--values",
        "ranks",
        "--data",
        cells,
        "--preset",
        preset,
        "--batch",
        "64",
        "--out",
        out,
      ];
      const child = start(words, {
        NODE_OPTIONS: `--import ${join(import.meta.dirname, "little_memory.mjs")}`,
        DDSC_TEST_MEMORY: "1331.2",
      });
      const { code, stderr } = await ended(child);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        new RegExp(`^ddsc: TRAIN_MEMORY: .* GiB of memory.*, .* has 1\\.30 GiB; try ${remedy}\n$`),
      );
      await expect(readdir(out)).rejects.toThrow(/ENOENT/);
    },
  );

  it("is refused before the data are opened where even the smallest would not fit beside the program", async () => {
    const child = start(
      ["train", "--data", join(folder, "no-such.h5ad"), "--preset", "small", "--out", join(folder, "never")],
      {
        NODE_OPTIONS: `--import ${join(import.meta.dirname, "little_memory.mjs")}`,
        DDSC_TEST_MEMORY: "512",
      },
    );
    const { code, stderr } = await ended(child);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ddsc: TRAIN_MEMORY: training would take \d\.\d\d GiB of memory at least, beside 0\.\d\d GiB for the program .* has 0\.50 GiB/,
    );
  });

  it("leaves a run: checkpoints, the links last and best, and metrics", async () => {
    expect(await readdir(run)).toEqual(expect.arrayContaining(["best", "last", "metrics.jsonl", "step-3"]));
  });

  it("refuses a folder that holds a run, without --resume or --overwrite", async () => {
    const { code, stderr } = await ddsc(
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--steps",
      "3",
      "--out",
      run,
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ddsc: RUN_EXISTS: .*--resume.*--overwrite.*\n$/);
  });

  it("begins no run among other files, and with --overwrite replaces a run and nothing else", async () => {
    const project = join(folder, "project");
    await mkdir(join(project, "src"), { recursive: true });
    await copyFile(data, join(project, "cells.h5ad"));
    const words = [
      "train",
      "--values",
      "ranks",
      "--data",
      join(project, "cells.h5ad"),
      "--steps",
      "1",
      "--batch",
      "8",
    ];
    for (const more of [[], ["--overwrite"]]) {
      const refused = await ddsc(...words, "--out", project, ...more);
      expect(refused.stderr).toMatch(/^ddsc: FILE_EXISTS: .*project: holds "cells.h5ad" and no run/);
    }
    expect((await readdir(project)).sort()).toEqual(["cells.h5ad", "src"]);
    const out = join(folder, "replaced");
    expect((await ddsc(...words, "--out", out)).code).toBe(0);
    await writeFile(join(out, "notes.txt"), "mine");
    const { code, json } = await ddsc(...words, "--steps", "2", "--out", out, "--overwrite", "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ step: 2 });
    expect((await readdir(out)).sort()).toEqual([
      "best",
      "last",
      "metrics.jsonl",
      "notes.txt",
      "status.json",
      "step-1",
      "step-2",
    ]);
  });

  it("leaves no run behind that could not begin", async () => {
    const out = join(folder, "failed");
    const words = [
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--steps",
      "1",
      "--batch",
      "8",
      "--out",
      out,
    ];
    for (const condition of [
      ["--where", "cell_type = 'none'"],
      ["--holdout", "library_size > 0"],
    ]) {
      const failed = await ddsc(...words, ...condition);
      expect(failed.stderr).toMatch(/^ddsc: DATA_NO_CELLS: /m);
      await expect(readdir(out)).rejects.toThrow(/ENOENT/);
    }
    expect((await ddsc(...words)).code).toBe(0);
  });

  it("refuses options that a resumed run cannot change", async () => {
    const { code, stderr } = await ddsc("train", "--resume", "--out", run, "--learning-rate", "0.1");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ddsc: USAGE: --learning-rate cannot be given with --resume.*\n$/);
  });

  it("says that there is nothing to do where the steps asked for are done", async () => {
    for (const [more, asked] of [
      [[], 3],
      [["--steps", "2"], 2],
    ] as const) {
      const { code, stdout, json } = await ddsc("train", "--resume", "--out", run, ...more, "--json");
      expect(code).toBe(0);
      expect(stdout).toContain(
        `nothing to do: 3 steps are done and ${asked} were asked for; to go on, pass --steps above 3\n`,
      );
      expect(stdout).not.toContain("trained after");
      expect(json()).toMatchObject({ end: "steps", step: 3 });
    }
    expect(JSON.parse(await readFile(join(run, "last", "training.json"), "utf8")).steps).toBe(3);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("saves at %s, exits with %i, and goes on from there with --resume", async (signal, code) => {
    const stopped = join(folder, `stopped-${signal}`);
    const words = [
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--batch",
      "4",
      "--validation",
      "0",
      "--out",
      stopped,
    ];
    const child = start([...words, "--steps", "100000", "--checkpoint-every", "100000"]);
    child.stderr.once("data", () => child.kill(signal));
    const first = await ended(child);
    expect(first.stderr).toContain("press Ctrl-C again");
    expect(first.code).toBe(code);
    const { step } = JSON.parse(await readFile(join(stopped, "last", "training.json"), "utf8")).state;
    expect(step).toBeGreaterThan(0);
    const second = await ddsc("train", "--resume", "--out", stopped, "--steps", String(step + 2), "--json");
    expect(second.stdout).toContain(`going on after step ${step}`);
    expect(second.json()).toMatchObject({ end: "steps", step: step + 2 });
  });

  it("takes options from --config, the command line winning", async () => {
    const config = join(folder, "config.json");
    const out = join(folder, "configured");
    await writeFile(
      config,
      JSON.stringify({ values: "ranks", data, out, steps: 50, batch: 4, validation: 0, "mean-matching": 1 }),
    );
    const { json } = await ddsc("train", "--config", config, "--steps", "1", "--json");
    expect(json()).toMatchObject({ out, step: 1 });
    const { diffusion } = JSON.parse(await readFile(join(out, "last", "config.json"), "utf8"));
    expect(diffusion.meanMatching).toBe(1);
  });
});

describe("ddsc train on ranks from another model", () => {
  it("takes weights and vocabulary from a run's folder as from its files", async () => {
    const best = join(run, "best");
    const files = [join(best, "model.safetensors"), join(best, "vocabulary.json")] as const;
    const weights: Buffer[] = [];
    for (const [i, [weightsAt, vocabularyAt]] of [
      [run, run] as const,
      [best, best] as const,
      files,
    ].entries()) {
      const out = join(folder, `from-${i}`);
      const words = ["--values", "ranks", "--data", data, "--steps", "1", "--batch", "8", "--out", out];
      const started = await ddsc("train", ...words, "--weights", weightsAt, "--vocabulary", vocabularyAt);
      expect(started.code).toBe(0);
      weights.push(await readFile(join(out, "last", "model.safetensors")));
    }
    expect(weights[0]?.equals(weights[2] as Buffer)).toBe(true);
    expect(weights[1]?.equals(weights[2] as Buffer)).toBe(true);
  });

  it("takes what a model of other genes knows, and refuses a folder of something else", async () => {
    const words = [
      "--values",
      "ranks",
      "--data",
      data,
      "--steps",
      "1",
      "--batch",
      "8",
      "--out",
      join(folder, "from-other"),
    ];
    // Every other of the model's genes.
    const names = Array.from({ length: 24 }, (_, gene) =>
      gene % 2 === 0 ? `GENE${String(gene).padStart(2, "0")}` : `OTHER${gene}`,
    );
    const other = join(folder, "other.json");
    const rows = ["<pad>", "<cls>", "<eoc>", ...names].map((name, id) => [name, id]);
    await writeFile(other, JSON.stringify(Object.fromEntries(rows)));
    const half = [...words.slice(0, -1), join(folder, "from-half")];
    const mixed = await ddsc("train", ...half, "--weights", run, "--vocabulary", other);
    expect(mixed.code).toBe(0);
    expect(mixed.stdout).toMatch(/^from {3}.*: 12 genes known; 12 new; 12 left out\n/);
    const nothing = join(folder, "nothing");
    await mkdir(nothing);
    for (const option of ["--weights", "--vocabulary"]) {
      const { code, stderr } = await ddsc("train", ...words, option, nothing);
      expect(code).toBe(1);
      expect(stderr).toContain(`ddsc: CHECKPOINT_READ: ${nothing}: there is no model in it`);
    }
  });
});

describe("the data of a run", () => {
  it("are asked for where they were moved, and taken from their new place", async () => {
    const [before, after, out] = ["before.h5ad", "after.h5ad", "moved"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeStudy(before);
    await ddsc("train", "--values", "ranks", "--data", before, "--steps", "1", "--batch", "8", "--out", out);
    await rename(before, after);
    for (const words of [
      ["evaluate", "--model", out],
      ["train", "--resume", "--steps", "2", "--out", out],
    ]) {
      const lost = await ddsc(...words);
      expect(lost.code).toBe(1);
      expect(lost.stderr).toContain(`DATA_NOT_FOUND: ${before}: no such file`);
      expect(lost.stderr).toContain("if the data of the run was moved, --data gives its new place");
      expect((await ddsc(...words, "--data", after)).code).toBe(0);
    }
  });

  it("are not replaced by others when the run goes on, be they of genes that it does not know", async () => {
    for (const [name, genes] of [
      ["more.h5ad", 24],
      ["other_genes.h5ad", 200],
    ] as const) {
      const other = join(folder, name);
      await writeStudy(other, { cells: 61, genes });
      const words = ["train", "--resume", "--steps", "5", "--out", run, "--data", other];
      const { code, stderr } = await ddsc(...words);
      expect(code).toBe(1);
      expect(stderr).toContain(
        `ddsc: TRAIN_DATA_CHANGED: ${other}: this is not the data the run was begun with`,
      );
    }
  });
});
