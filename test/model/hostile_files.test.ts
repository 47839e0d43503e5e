import { execFileSync } from "node:child_process";
import { cp, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { CellSummary } from "../../lib/counts/cell_summary.js";
import { CountBase } from "../../lib/counts/count_base.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";

let root: string;
let good: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-hostile-"));
  good = join(root, "good");
  const vocabulary = GeneVocabulary.fromIds(Array.from({ length: 40 }, (_, i) => `gene${i}`));
  using model = await Denoiser.create({
    vocabulary,
    shape: { hidden: 32, blocks: 1, heads: 2, condDim: 8 },
    trainable: false,
  });
  const { geneVocabSize, counts } = model.config;
  const base = new CountBase({
    share: new Float64Array(geneVocabSize).fill(1 / geneVocabSize),
    size: new Float64Array(geneVocabSize).fill(1),
    meanDepth: 100,
    spread: 0.5,
  });
  const summary = new CellSummary({
    genes: new Int32Array(0),
    pool: new Float32Array(0),
    ridge: new Float64Array(counts!.state).fill(1),
  });
  await model.setBase(base, summary);
  await model.save(good);
  (await Denoiser.load(good))[Symbol.dispose]();
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

async function copy(): Promise<string> {
  const folder = await mkdtemp(join(root, "copy-"));
  await cp(good, folder, { recursive: true });
  return folder;
}

describe("a file of a model", () => {
  const files = ["config.json", "vocabulary.json", "base.json", "summary.json"];

  it.each([...files, "model.safetensors"])("is not waited for where it is a pipe (%s)", async (name) => {
    const folder = await copy();
    await rm(join(folder, name));
    execFileSync("mkfifo", [join(folder, name)]);
    const attempt = Denoiser.load(folder);
    await expect(attempt).rejects.toBeInstanceOf(DdscError);
    await expect(attempt).rejects.toThrow("it is a pipe, and only files can be read");
  });

  it.each(files)("is refused where it is nested without end (%s)", async (name) => {
    const folder = await copy();
    await writeFile(join(folder, name), "[".repeat(2 ** 19));
    const attempt = Denoiser.load(folder);
    await expect(attempt).rejects.toBeInstanceOf(DdscError);
    await expect(attempt).rejects.toThrow("nested in more than 64 levels");
  });

  it.each([
    ["config.json", 32],
    ["vocabulary.json", 128],
    ["base.json", 2],
    ["summary.json", 2],
  ])("is not read where it is far longer than it can be (%s)", async (name, megabytes) => {
    const folder = await copy();
    const file = await open(join(folder, name), "r+");
    await file.truncate(megabytes * 2 ** 20 + 1);
    await file.close();
    const attempt = Denoiser.load(folder);
    await expect(attempt).rejects.toBeInstanceOf(DdscError);
    await expect(attempt).rejects.toThrow(/it has \d+ bytes, and a file of its kind at most/);
  });
});
