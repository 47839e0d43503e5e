import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import { framesOf } from "../../lib/data/sources/frames.js";
import { ddsc, type Ended, ended, start, writeStudy } from "./program.js";

let folder: string;
let data: string;
let run: string;
let trained: Ended;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cli-"));
  data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  await writeStudy(data);
  trained = await ddsc(
    "train",
    "--values",
    "ranks",
    "--data",
    data,
    "--steps",
    "3",
    "--batch",
    "8",
    "--out",
    run,
    "--json",
  );
});
afterAll(() => rm(folder, { recursive: true }));

/** All values of a matrix of an .h5ad file, row-major, as far as they are above 0. */
async function counts(file: string, layer?: string) {
  using source = await openCells(file, layer === undefined ? {} : { layer });
  return await source.read(Int32Array.from({ length: source.cellCount }, (_, row) => row));
}

describe("ddsc train", () => {
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
    ["medium", "a smaller --batch or a smaller --preset"],
    ["tiny", "--recompute \\(0\\.\\d\\d GiB\\), a smaller --batch or a smaller --preset"],
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
      });
      const { code, stderr } = await ended(child);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        new RegExp(`^ddsc: TRAIN_MEMORY: .* GiB of memory, .* has 1\\.00 GiB; try ${remedy}\n$`),
      );
      await expect(readdir(out)).rejects.toThrow(/ENOENT/);
    },
  );

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

  it("saves and exits with 130 at Ctrl-C, and goes on from there with --resume", async () => {
    const stopped = join(folder, "stopped");
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
    child.stderr.once("data", () => child.kill("SIGINT"));
    const first = await ended(child);
    expect(first.stderr).toContain("press Ctrl-C again");
    expect(first.code).toBe(130);
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
      JSON.stringify({ data, out, steps: 50, batch: 4, validation: 0, "mean-matching": 1 }),
    );
    const { json } = await ddsc("train", "--config", config, "--steps", "1", "--json");
    expect(json()).toMatchObject({ out, step: 1 });
    const { diffusion } = JSON.parse(await readFile(join(out, "last", "config.json"), "utf8"));
    expect(diffusion.meanMatching).toBe(1);
  });
});

describe("ddsc train from another model", () => {
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
      const words = ["--data", data, "--steps", "1", "--batch", "8", "--out", out];
      const started = await ddsc("train", ...words, "--weights", weightsAt, "--vocabulary", vocabularyAt);
      expect(started.code).toBe(0);
      weights.push(await readFile(join(out, "last", "model.safetensors")));
    }
    expect(weights[0]?.equals(weights[2] as Buffer)).toBe(true);
    expect(weights[1]?.equals(weights[2] as Buffer)).toBe(true);
  });

  it("refuses the weights of a model of other genes, and a folder of something else", async () => {
    const words = ["--data", data, "--steps", "1", "--batch", "8", "--out", join(folder, "from-other")];
    const genes = Array.from({ length: 24 }, (_, gene) => [`OTHER${gene}`, gene + 3]);
    const other = join(folder, "other.json");
    await writeFile(
      other,
      JSON.stringify(
        Object.fromEntries([["<pad>", 0], ["<cls>", 1], ["<eoc>", 2], ...genes, ["GENE00", 3 + 24]]),
      ),
    );
    const mixed = await ddsc("train", ...words, "--weights", run, "--vocabulary", other);
    expect(mixed.code).toBe(1);
    expect(mixed.stderr).toContain(
      `ddsc: CHECKPOINT_VOCABULARY: ${run}: the model was made with another gene vocabulary`,
    );
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

describe("ddsc evaluate", () => {
  it("finds the run's held-out cells by itself, whether or not it is told the data", async () => {
    const alone = await ddsc("evaluate", "--model", run, "--json");
    const told = await ddsc("evaluate", "--model", run, "--data", data, "--json");
    expect(alone.code).toBe(0);
    expect(told.json()).toEqual(alone.json());
    const scores = {
      maskedAccuracy: expect.any(Number),
      accuracy: expect.any(Number),
      crossEntropy: expect.any(Number),
      rankMae: expect.any(Number),
    };
    const { crossEntropy: _, ...withoutProbabilities } = scores;
    expect(alone.json()).toMatchObject({
      ratios: { "0.2": scores, "0.5": scores, "0.8": scores },
      baselines: { globalMode: withoutProbabilities, geneMode: withoutProbabilities, geneMarginal: scores },
    });
    expect(alone.stdout).toContain("gene's rank distribution");
  });

  it("scores groups of the cells for which a condition holds", async () => {
    const words = ["--where", "cell_type in ('type-1', 'type-2')", "--by", "cell_type"];
    const result = await ddsc("evaluate", "--model", run, "--data", data, ...words, "--json");
    expect(result.code).toBe(0);
    const { groups, cells } = result.json() as unknown as {
      groups: Record<string, { cells: number }>;
      cells: number;
    };
    expect(
      Object.keys(groups)
        .sort()
        .every((group) => ["type-1", "type-2"].includes(group)),
    ).toBe(true);
    expect(Object.values(groups).reduce((sum, group) => sum + group.cells, 0)).toBe(cells);
    const unknown = await ddsc("evaluate", "--model", run, "--by", "cel_type");
    expect(unknown.stderr).toContain("DATA_MISSING_COLUMN: ");
  });

  it("knows the run's own data again in another format", async () => {
    const copy = join(folder, "converted");
    expect((await ddsc("convert", data, "--out", copy)).code).toBe(0);
    const own = await ddsc("evaluate", "--model", run, "--json");
    const converted = await ddsc("evaluate", "--model", run, "--data", copy, "--json");
    expect(converted.json()).toEqual({ ...own.json(), data: expect.stringContaining(copy) });
  });

  it("says which condition left no cell to score", async () => {
    const out = join(folder, "conditioned");
    const train = [
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
    const own = "cell_type in ('type-0', 'type-1', 'type-2')";
    await ddsc(...train, "--where", own, "--holdout", "cell_type = 'type-1'");
    const refused = async (...words: string[]) => {
      const { code, stderr } = await ddsc("evaluate", "--model", out, ...words);
      expect(code).toBe(1);
      expect(stderr).toContain("EVALUATION_EMPTY: ");
      return stderr;
    };
    expect(await refused("--where", "cell_type = 'type-99'")).toContain(
      "--where cell_type = 'type-99' holds for no cell;",
    );
    expect(await refused("--where", "cell_type = 'type-3'")).toContain(
      `the run was trained with --where ${own}, which excludes every cell for which --where cell_type = 'type-3' holds;`,
    );
    expect(await refused("--where", "cell_type = 'type-2'")).toMatch(
      /none of the \d+ cells for which --where cell_type = 'type-2' holds is held out by the run;/,
    );
    await ddsc(...train, "--overwrite", "--validation", "0");
    expect(await refused()).toContain("the run was trained with --validation 0, so it held out no cells;");
  });

  it("takes all cells of other data", async () => {
    const other = join(folder, "other.h5ad");
    await writeStudy(other, { cells: 10 });
    const { code, json } = await ddsc(
      "evaluate",
      "--model",
      run,
      "--data",
      other,
      "--ratios",
      "0.5",
      "--json",
    );
    expect(code).toBe(0);
    expect(json()).toMatchObject({ cells: 10, ratios: { "0.5": expect.anything() } });
  });
});

describe("ddsc impute", () => {
  it("fills in genes without a count and keeps all others, with rank, expected rank and probability", async () => {
    const out = join(folder, "filled.h5ad");
    const { code, json } = await ddsc("impute", "--model", run, "--data", data, "--out", out, "--json");
    expect(code).toBe(0);
    const before = await counts(data);
    const after = await counts(out);
    const [cells, genes] = [60, 24];
    expect(json()).toMatchObject({ cells, entries: cells * genes - before.counts.length });
    expect(after.counts.length).toBe(cells * genes);
    const filled = new Map(
      Array.from(after.columns, (gene, i) => [`${Math.floor(i / genes)} ${gene}`, after.counts[i]]),
    );
    for (let cell = 0; cell < cells; cell++) {
      for (let i = before.offsets[cell]!; i < before.offsets[cell + 1]!; i++) {
        expect(filled.get(`${cell} ${before.columns[i]}`)).toBe(before.counts[i]);
      }
    }
    using source = await openCells(data);
    using written = await openCells(out);
    expect((await framesOf(written)).obs).toEqual((await framesOf(source)).obs);
    // Counts that were filled in may be fractional.
    const words = ["--data", out, "--allow-fractional", "--mask-fraction", "0.5"];
    words.push("--out", join(folder, "twice.h5ad"));
    const again = await ddsc("impute", "--model", run, ...words);
    expect(again.stderr).toContain(
      "not in the output: layers (expected_rank, probability, rank), uns (ddsc)",
    );
  });

  it("fills in listed genes alone, in parts where cells are longer than --max-length", async () => {
    const out = join(folder, "listed.h5ad");
    const words = [
      "impute",
      "--model",
      run,
      "--data",
      data,
      "--out",
      out,
      "--genes",
      "GENE03,GENE11",
      "--fill",
      "listed",
    ];
    const { code, json } = await ddsc(...words, "--max-length", "8", "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ entries: 120 });
  });

  it("passes on cells that have every gene asked for, also where they are the whole batch or the whole file", async () => {
    // The first cell has both genes, the second neither, the third one of them.
    const some = join(folder, "some.h5ad");
    const zeros = [24 + 3, 24 + 11, 48 + 3];
    const named = (index: readonly string[]) => ({ index, indexName: "_index", columns: new Map() });
    await writeH5ad(some, {
      obs: named(["both", "neither", "one"]),
      var: named(Array.from({ length: 24 }, (_, gene) => `GENE${String(gene).padStart(2, "0")}`)),
      X: {
        kind: "csr",
        offsets: Int32Array.of(0, 24, 46, 69),
        columns: Int32Array.from({ length: 72 }, (_, i) => i)
          .filter((i) => !zeros.includes(i))
          .map((i) => i % 24),
        values: Float32Array.from({ length: 69 }, (_, i) => 1 + (i % 5)),
      },
    });
    for (const batch of ["1", "64"]) {
      const out = join(folder, `some-${batch}.h5ad`);
      const words = ["--model", run, "--data", some, "--out", out, "--genes", "GENE03,GENE11"];
      const { code, json, stderr } = await ddsc("impute", ...words, "--batch", batch, "--json");
      expect(stderr).toBe("");
      expect(code).toBe(0);
      expect(json()).toMatchObject({ cells: 3, entries: 3, skippedCells: 0 });
      const [before, after] = [await counts(some), await counts(out)];
      expect([...after.offsets]).toEqual([0, 24, 48, 72]);
      expect([...after.counts.subarray(0, 24)]).toEqual([...before.counts.subarray(0, 24)]);
    }
    const out = join(folder, "untouched.h5ad");
    const words = ["--model", run, "--data", some, "--out", out, "--genes", "GENE05"];
    const { code, stdout, json } = await ddsc("impute", ...words, "--json");
    expect(code).toBe(0);
    expect(stdout).toContain("untouched.h5ad: 3 cells as they are; there was nothing to fill in");
    expect(json()).toMatchObject({ cells: 3, entries: 0 });
    expect([...(await counts(out)).counts]).toEqual([...(await counts(some)).counts]);
  });

  it("tells how well hidden ranks are filled in", async () => {
    const out = join(folder, "hidden.h5ad");
    const { json } = await ddsc(
      "impute",
      "--model",
      run,
      "--data",
      data,
      "--out",
      out,
      "--mask-fraction",
      "0.3",
      "--json",
    );
    const { entries, check } = json() as unknown as {
      entries: number;
      check: { known: number; accuracy: number };
    };
    expect(check.known).toBe(entries);
    expect(check.accuracy).toBeGreaterThanOrEqual(0);
    expect(check.accuracy).toBeLessThanOrEqual(1);
  });
});

describe("ddsc generate", () => {
  it("draws cells of the listed genes, the same for the same seed", async () => {
    const files = [join(folder, "one.h5ad"), join(folder, "two.h5ad")];
    for (const [i, out] of files.entries()) {
      // Another size of batch: cells do not depend on which others are drawn beside them.
      const words = [
        "generate",
        "--model",
        run,
        "--genes",
        "GENE05,GENE02",
        "--cells",
        "5",
        "--batch",
        String(i + 2),
      ];
      expect((await ddsc(...words, "--data", data, "--out", out)).code).toBe(0);
    }
    const [one, two] = [await counts(files[0]!), await counts(files[1]!)];
    expect(one.counts.length).toBe(10);
    expect(two.counts).toEqual(one.counts);
    using source = await openCells(files[0]!);
    expect(source.genes.map(({ id }) => id)).toEqual(["GENE05", "GENE02"]);
  });
});

describe("ddsc inspect, devices and demo", () => {
  it("shows what is in a file of counts", async () => {
    const { stdout, json } = await ddsc("inspect", data, "--json");
    expect(stdout).toContain("60 cells x 24 genes");
    expect(json()).toMatchObject({ cells: 60, genes: 24, emptyCells: 0 });
  });

  it("shows what is in the folder of a run", async () => {
    const { stdout, json } = await ddsc("inspect", run, "--json");
    expect(stdout).toContain("4 blocks, 128 wide, 2 heads");
    expect(json()).toMatchObject({ genes: 24, config: { hidden: 128 } });
  });

  it("shows genes' names and columns of a file, and the training of a run", async () => {
    const cells = await ddsc("inspect", data, "--json");
    const { geneNames } = cells.json() as unknown as { geneNames: string[] };
    expect(geneNames).toHaveLength(5);
    expect(cells.stdout).toContain(`\ngenes: ${geneNames.join(", ")}, ...\n`);
    expect(cells.stdout).toMatch(/\ncolumns of the table of genes \(--gene-column\)\n {2}\S+: \S+, \.\.\.\n/);
    const trainedRun = await ddsc("inspect", join(run, "last"), "--json");
    expect(trainedRun.stdout).toContain(`24 genes: ${geneNames.join(", ")}, ...`);
    expect(trainedRun.stdout).toMatch(/\nstep {8}3 of 3; best \d+\.\d{4} nats a token at step \d\n/);
    expect(trainedRun.stdout).toContain(`data        ${data}: 60 cells, 24 genes\n`);
    expect(trainedRun.json()).toMatchObject({
      geneNames,
      training: { step: 3, steps: 3, data: { name: data, where: null, heldOut: { kind: "fraction" } } },
    });
  });

  it("lists the devices", async () => {
    const { json } = await ddsc("devices", "--json");
    expect(json()).toMatchObject({ devices: [{ name: "cpu" }] });
  });

  it("goes the whole way in the short demo", async () => {
    const { code, stdout, json } = await ddsc("demo", "--short", "--json");
    expect(code).toBe(0);
    for (const part of ["Simulated", "Training", "most frequent rank", "true rank"])
      expect(stdout).toContain(part);
    expect((json() as unknown as { filled: unknown[] }).filled).toHaveLength(10);
  });

  it("prints nothing but the object with --json and --quiet", async () => {
    for (const words of [["inspect", data], ["evaluate", "--model", run], ["devices"]]) {
      const { code, stdout } = await ddsc(...words, "--json", "--quiet");
      expect(code).toBe(0);
      expect(stdout.trimEnd().split("\n").length).toBe(1);
      expect(JSON.parse(stdout)).toBeInstanceOf(Object);
    }
  });

  it("says in a command's help what its own --out and its own steps are", async () => {
    const help = async (command: string) => (await ddsc("help", command)).stdout.replace(/\s+/g, " ");
    expect(await help("train")).toContain("the folder of the run");
    expect(await help("convert")).toContain("what to write: NAME.h5ad, or a folder for Parquet files");
    expect(await help("generate")).toContain(
      "(default: 32; first-hitting: as many as there are masked ranks",
    );
    expect(await help("impute")).toContain("(default: 1; with --sampler 32, but first-hitting");
  });

  it("shows every command and option in its help", async () => {
    const { code, stdout } = await ddsc("help", "train");
    expect(code).toBe(0);
    for (const flag of ["--data <FILE>", "--learning-rate <N>", "--resume", "--config <FILE>"])
      expect(stdout).toContain(flag);
  });
});

describe("conditions on cells", () => {
  it("choose what is trained on and what is held out, and are remembered", async () => {
    const out = join(folder, "chosen");
    const words = ["--where", "library_size > 0", "--holdout", "cell_type = 'type-3'", "--batch", "8"];
    const trained = await ddsc(
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      ...words,
      "--steps",
      "2",
      "--out",
      out,
    );
    expect(trained.code).toBe(0);
    const { data: record } = JSON.parse(await readFile(join(out, "last", "training.json"), "utf8"));
    expect(record.where).toBe("library_size > 0");
    const inspected = await ddsc("inspect", out);
    expect(inspected.stdout).toContain("60 cells, 24 genes, those where library_size > 0\n");
    expect(inspected.stdout).toContain("held out    cells where cell_type = 'type-3'\n");
    expect(record.heldOut).toEqual({ kind: "where", where: "cell_type = 'type-3'" });
    const evaluated = await ddsc("evaluate", "--model", out, "--by", "cell_type", "--json");
    const { groups } = evaluated.json() as unknown as { groups: Record<string, unknown> };
    expect(Object.keys(groups)).toEqual(["type-3"]);
  });

  it("are refused with their place and exit code 2", async () => {
    const { code, stderr } = await ddsc("inspect", data, "--where", "cell_type = ");
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^ddsc: ARGUMENT_WHERE: expected a value but found the end, at character 13 of: .*\n$/,
    );
  });
});

describe("ddsc convert", () => {
  it("says what of a file it does not write", async () => {
    const layered = fileURLToPath(new URL("../fixtures/h5ad/csr.h5ad", import.meta.url));
    const out = join(folder, "plain.h5ad");
    const { code, stderr } = await ddsc("convert", layered, "--layer", "counts", "--out", out);
    expect(code).toBe(0);
    expect(stderr).toContain("not in the output: X, raw, uns (study)");
    expect((await ddsc("convert", out, "--out", join(folder, "again.h5ad"))).stderr).not.toContain(
      "not in the output",
    );
  });

  it("writes chosen cells as Parquet files, which are inspected and trained on like any", async () => {
    const shards = join(folder, "shards");
    const converted = await ddsc("convert", data, "--out", shards, "--cells-per-file", "20", "--json");
    expect(converted.json()).toMatchObject({ out: shards, cells: 60, files: 3 });
    const inspected = await ddsc("inspect", shards, "--json");
    expect(inspected.json()).toMatchObject({ cells: 60, genes: 24 });
    const trained = await ddsc(
      "train",
      "--data",
      shards,
      "--batch",
      "8",
      "--steps",
      "2",
      "--out",
      join(folder, "sharded"),
    );
    expect(trained.code).toBe(0);
    const again = await ddsc("convert", data, "--out", shards);
    expect(again.stderr).toMatch(/^ddsc: FILE_EXISTS: .*is not empty/);
  });

  it("simulates cells, and goes back to .h5ad", async () => {
    const simulated = join(folder, "simulated");
    await ddsc("convert", "--simulate", "50", "--simulated-genes", "20", "--out", simulated);
    const back = join(folder, "simulated.h5ad");
    const condition = ["--where", "cell_type = 'type-0'"];
    const { code } = await ddsc("convert", simulated, "--out", back, ...condition);
    expect(code).toBe(0);
    using source = await openCells(back);
    expect(source.genes).toHaveLength(20);
    expect(new Set((await source.metadata()).getChild("cell_type"))).toEqual(new Set(["type-0"]));
  });

  it("needs cells from one place", async () => {
    const none = await ddsc("convert", "--out", join(folder, "none"));
    expect(none.stderr).toMatch(/^ddsc: USAGE: convert needs a file of cells, or --simulate/);
    const two = await ddsc("convert", data, "--simulate", "5", "--out", join(folder, "none"));
    expect(two.stderr).toMatch(/^ddsc: USAGE: a file and --simulate exclude each other/);
  });
});
