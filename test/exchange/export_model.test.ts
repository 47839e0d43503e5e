import { existsSync, readFileSync } from "node:fs";
import { appendFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { modelCard } from "../../lib/exchange/model_card.js";
import { namesOnly } from "../../lib/exchange/training_record.js";
import {
  Denoiser,
  evaluateFile,
  exportModel,
  generateCells,
  type MemorySource,
  Trainer,
} from "../../lib/index.js";
import { readDescription } from "../../lib/model/model_files.js";
import { ddsc, writeStudy } from "../cli/program.js";
import { temporaryFolder } from "../data/support.js";
import { smallCountModel } from "../training/small_counts.js";
import { smallModel, smallOptions, smallSource } from "../training/small_run.js";

/** Trains a run of a model for a few steps. */
async function trained(model: Denoiser, source: MemorySource): Promise<string> {
  const folder = join(temporaryFolder(), "run");
  const { accumulation, batchCells, seed, worker, validation } = smallOptions;
  const trainer = new Trainer(model, { folder, accumulation, batchCells, seed, worker, validation });
  for await (const _step of trainer.fit(source, { steps: 3 }));
  model[Symbol.dispose]();
  return folder;
}

/** All weights that predictions use. */
async function bits(folder: string, weights?: "weights" | "ema"): Promise<Float32Array> {
  using model = await Denoiser.load(folder, { device: "cpu", ...(weights === undefined ? {} : { weights }) });
  const values = await Promise.all(model.parameters.map(({ name }) => model.readParameter(name)));
  return Float32Array.from(values.flatMap((array) => [...array]));
}

async function drawn(folder: string): Promise<number[]> {
  using model = await Denoiser.load(folder, { device: "cpu" });
  const counts: number[] = [];
  const options = { cells: 3, seed: 1, depth: 50, sampler: { kind: "parallel", steps: 3 } } as const;
  for await (const block of generateCells(model, options)) counts.push(...block.counts);
  return counts;
}

describe("an exported model", () => {
  it("of ranks loads again with the same bits: the moving average, or what was asked for", async () => {
    const run = await trained(await smallModel(), smallSource());
    const out = join(temporaryFolder(), "published", "ranks");
    const made = await exportModel({ model: run, out });
    expect(made).toMatchObject({ weights: "ema", format: "huggingface" });
    expect((await readdir(out)).sort()).toEqual([
      "README.md",
      "config.json",
      "model.safetensors",
      "vocabulary.json",
    ]);
    expect([...made.files].sort()).toEqual((await readdir(out)).sort());
    expect(await bits(out)).toEqual(await bits(run, "ema"));
    expect(await bits(out)).not.toEqual(await bits(run, "weights"));
    const { package: _, ...config } = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config).toMatchObject({ architectures: ["DdscDenoiser"], model_type: "ddsc", weights: "ema" });
    const before = await readDescription(join(run, "best"));
    const after = await readDescription(out);
    expect(JSON.stringify(after)).toBe(JSON.stringify(before));

    await expect(exportModel({ model: run, out })).rejects.toMatchObject({ code: "FILE_EXISTS" });
    const again = await exportModel({ model: run, out, weights: "weights", overwrite: true });
    expect(again.weights).toBe("weights");
    expect(await bits(out)).toEqual(await bits(run, "weights"));
    // An export of an export: there is no average left to ask for.
    const second = join(temporaryFolder(), "second");
    await expect(exportModel({ model: out, out: second, weights: "ema" })).rejects.toMatchObject({
      code: "EXPORT_WEIGHTS",
    });
    await exportModel({ model: out, out: second });
    expect(await bits(second)).toEqual(await bits(out));
  });

  it("of counts has what it has learnt, and draws the same cells", async () => {
    const source = smallSource();
    const run = await trained(await smallCountModel(), source);
    const out = join(temporaryFolder(), "counts");
    const { files } = await exportModel({ model: run, out });
    expect(files).toEqual(expect.arrayContaining(["base.json", "summary.json", "depths.json"]));
    for (const name of ["base.json", "summary.json", "depths.json", "vocabulary.json"])
      expect(readFileSync(join(out, name), "utf8")).toBe(readFileSync(join(run, "best", name), "utf8"));
    expect(await bits(out)).toEqual(await bits(run, "ema"));
    expect(await drawn(out)).toEqual(await drawn(run));
  });

  it("holds no path, not even in its card", async () => {
    const run = await trained(await smallModel(), smallSource());
    const record = join(run, "best", "training.json");
    const json = JSON.parse(readFileSync(record, "utf8"));
    json.data.name = "/home/someone/secret project/cells.h5ad, https://user:pass@host/a/b.parquet?token=1";
    await writeFile(record, JSON.stringify(json));
    const out = join(temporaryFolder(), "out");
    await exportModel({ model: run, out });
    const card = readFileSync(join(out, "README.md"), "utf8");
    expect(card).toContain("- files: cells.h5ad, b.parquet\n");
    for (const name of await readdir(out))
      expect(readFileSync(join(out, name), "latin1")).not.toMatch(/someone|secret|token=1|\/tmp\//);
  });

  it("is refused over itself, over other files, and with an evaluation that is none", async () => {
    const model = await smallModel();
    const folder = join(temporaryFolder(), "model");
    await model.save(folder);
    model[Symbol.dispose]();
    await expect(exportModel({ model: folder, out: folder, overwrite: true })).rejects.toMatchObject({
      code: "ARGUMENT_CONFLICT",
    });
    const other = temporaryFolder();
    await writeFile(join(other, "thesis.txt"), "");
    await expect(exportModel({ model: folder, out: other, overwrite: true })).rejects.toMatchObject({
      code: "FILE_EXISTS",
    });
    const out = join(temporaryFolder(), "out");
    const scores = join(temporaryFolder(), "scores.json");
    for (const text of ["", "[]", "{}", '{"kind":"counts","likelihood":{}}', '{"kind":"ranks","ratios":3}']) {
      await writeFile(scores, text);
      await expect(exportModel({ model: folder, out, evaluation: scores })).rejects.toMatchObject({
        code: "EXPORT_EVALUATION",
      });
    }
    await expect(exportModel({ model: folder, out, evaluation: other })).rejects.toMatchObject({
      code: "EXPORT_EVALUATION",
    });
    await expect(exportModel({ model: folder, out, format: "onnx" as never })).rejects.toMatchObject({
      code: "ARGUMENT_CHOICE",
    });
    expect(existsSync(out)).toBe(false);
  });
});

describe("a model card", () => {
  it("shows what was measured, with baselines and intervals, and leaves the licence open", async () => {
    const folder = temporaryFolder();
    const data = join(folder, "cells.h5ad");
    const run = join(folder, "run");
    await writeStudy(data);
    const size = ["--steps", "2", "--batch", "8"];
    expect((await ddsc("train", "--data", data, ...size, "--out", run)).code).toBe(0);
    const scored = await ddsc("evaluate", "--model", run, "--json");
    await writeFile(join(run, "evaluation.json"), scored.stdout);
    const done = await ddsc("export", run, "--out", join(folder, "published"), "--json");
    expect([done.code, done.json()]).toMatchObject([
      0,
      { weights: "ema", evaluation: join(run, "evaluation.json") },
    ]);
    const card = readFileSync(join(folder, "published", "README.md"), "utf8");
    expect(card).toMatch(
      /^---\nlibrary_name: ddsc\n# Choose a licence before you publish it: license: ...\ntags:\n/,
    );
    const { likelihood, verdict, baselines } = scored.json() as never as {
      likelihood: Record<string, { all: { nats: number; low: number; high: number } }>;
      verdict: { sentence: string };
      baselines: Record<string, unknown>;
    };
    const { nats, low, high } = likelihood["0.5"]!.all;
    expect(card).toContain(`| ${nats.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)}) |`);
    expect(card).toContain(verdict.sentence);
    expect(Object.keys(baselines)).toContain("knn");
    expect(card).toContain("| kNN smoothing |");
    expect(card).toMatch(/^On \d+ held-out cells of cells\.h5ad/m);
    expect(card).toContain("- files: cells.h5ad\n- cells: 60\n");
    // The folder is a model to every command.
    const shown = await ddsc("inspect", join(folder, "published"));
    expect(shown.stdout).toContain("vocabulary  24 genes");
  }, 90_000);

  it("of ranks has a row a predictor and share", async () => {
    const source = smallSource();
    const run = await trained(await smallModel(), source);
    const scores = await evaluateFile({ model: run, data: source, ratios: [0.5] });
    const evaluation = join(temporaryFolder(), "scores.json");
    await writeFile(evaluation, "a line before it\n");
    await appendFile(evaluation, `${JSON.stringify(scores)}\n`);
    const out = join(temporaryFolder(), "out");
    await exportModel({ model: run, out, evaluation });
    const card = readFileSync(join(out, "README.md"), "utf8");
    expect(card).toMatch(/^\| 50% \| \*\*model\*\* \| 0\.\d{4} \| \d\.\d{4} \| \d+\.\d{2} \|$/m);
    expect(card).toContain("| gene's rank distribution |");
  });

  it("shows names out of files as text: no markup, no link, no line of its own", async () => {
    using model = await smallModel();
    const hostile = "</td><script>x</script>\n# [a](javascript:x) | `b` https://example.org \u001b[31m";
    const card = modelCard({
      name: hostile,
      description: model,
      parameters: 1,
      weights: "ema",
      evaluation: {
        kind: "ranks",
        data: hostile,
        cells: 3,
        ratios: {
          [hostile]: { maskedAccuracy: "x", crossEntropy: Number.NaN, rankMae: Number.POSITIVE_INFINITY },
        },
        baselines: { [hostile]: { ratios: { [hostile]: {} } }, constructor: null },
      },
      provenance: {
        ...{ data: [hostile], cells: 1, genes: 1, where: hostile, heldOut: hostile, step: 1 },
      },
      version: "ddsc 0",
    });
    expect(card).not.toContain("<script>");
    expect(card).not.toContain("[a](");
    expect(card).not.toContain("https://example.org");
    expect(card).not.toContain("\u001b");
    expect(card.split("\n").filter((line) => line.startsWith("# "))).toHaveLength(2);
  });

  it("names files without what leads to them", () => {
    expect(namesOnly("/a/b c/d.h5ad")).toEqual(["d.h5ad"]);
    expect(namesOnly("C:\\Users\\me\\d.h5ad, s3://bucket/x/y.parquet?sig=1#z")).toEqual([
      "d.h5ad",
      "y.parquet",
    ]);
    expect(namesOnly("")).toEqual([]);
  });
});
