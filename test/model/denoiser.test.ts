import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Denoiser, type DenoiserOptions } from "../../lib/model/denoiser.js";
import { SafetensorsFile, writeSafetensors } from "../../lib/model/safetensors.js";
import { GeneVocabulary, QuantileRanks } from "../../lib/tokenizer/index.js";

const vocabulary = GeneVocabulary.fromIds(Array.from({ length: 57 }, (_, i) => `gene${i}`));
/** The shape of the fixture `wide`. */
const wide: DenoiserOptions = {
  values: "ranks",
  vocabulary,
  shape: { hidden: 128, heads: 2, blocks: 1, condDim: 32, dropout: 0 },
};
const fixture = new URL("../fixtures/wide.safetensors", import.meta.url).pathname;

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-model-"));
  folder = join(root, "model");
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

/** The fixture's weights as a published checkpoint has them: other names before and beside them. */
async function published(change: (name: string, shape: readonly number[]) => readonly number[] | undefined) {
  await using file = await SafetensorsFile.open(fixture);
  const path = join(root, "published.safetensors");
  const parameters = [...file.tensors.values()].flatMap(({ name, shape }) => {
    const changed = name.startsWith("param.") ? change(name.slice(6), shape) : undefined;
    if (changed === undefined) return [];
    const size = changed.reduce((product, length) => product * length, 1);
    return [
      {
        name: `backbone.${name.slice(6)}`,
        shape: changed,
        read: async () => (size === file.tensors.get(name)?.size ? file.read(name) : new Float32Array(size)),
      },
    ];
  });
  const sigma = { name: "noise.sigma_max", shape: [1], read: async () => Float32Array.of(20) };
  await writeSafetensors(path, [...parameters, sigma]);
  return path;
}

async function edit(name: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const path = join(folder, name);
  const json = JSON.parse(await readFile(path, "utf8"));
  change(json);
  await writeFile(path, JSON.stringify(json));
}

describe("Denoiser", () => {
  it("has exactly the published parameters", async () => {
    using model = await Denoiser.create(wide);
    await using file = await SafetensorsFile.open(fixture);
    const shapes = [...file.tensors.values()].flatMap(({ name, shape }) =>
      name.startsWith("param.") ? [`${name.slice(6)} ${shape}`] : [],
    );
    expect(model.parameters.map(({ name, shape }) => `${name} ${shape}`).sort()).toEqual(shapes.sort());
    expect(model.parameterCount).toBe(model.parameters.reduce((sum, { size }) => sum + size, 0));
  });

  it("gives the same fresh weights for the same seed and others for another", async () => {
    const first = async (seed: number) => {
      using model = await Denoiser.create({ ...wide, seed });
      return model.readParameter("blocks.0.attn_qkv.weight");
    };
    expect(await first(1)).toEqual(await first(1));
    expect(await first(1)).not.toEqual(await first(2));
  });

  it("comes back from its folder with everything needed to use it", async () => {
    using model = await Denoiser.create({
      ...wide,
      values: new QuantileRanks({ bins: 21 }),
      diffusion: { meanMatching: 0.5, schedule: { kind: "cosine" } },
      tokenizer: { maxLength: 77, cls: false },
      dtype: "bf16",
    });
    await model.writeParameter("output_layer.linear.bias", new Float32Array(24).fill(0.25), "ema");
    await model.save(folder);
    expect((await readdir(folder)).sort()).toEqual([
      "config.json",
      "ema.safetensors",
      "model.safetensors",
      "vocabulary.json",
    ]);
    expect(await readdir(root)).toEqual(["model"]);

    using again = await Denoiser.load(folder, { trainable: true });
    expect(again.config).toEqual(model.config);
    expect(again.diffusion).toEqual(model.diffusion);
    expect(again.tokenizer.toJSON()).toEqual(model.tokenizer.toJSON());
    expect(again.dtype).toBe("bf16");
    for (const { name } of model.parameters) {
      expect(await again.readParameter(name)).toEqual(await model.readParameter(name));
      expect(await again.readParameter(name, "ema")).toEqual(await model.readParameter(name, "ema"));
    }
  });

  it("predicts with the moving average unless told otherwise", async () => {
    using model = await Denoiser.create(wide);
    expect(model.inferenceWeights).toBe("ema");
    const average = new Float32Array(54).fill(0.25);
    await model.writeParameter("output_layer.linear.bias", average, "ema");
    await model.save(folder);
    using predictor = await Denoiser.load(folder);
    expect(predictor.inferenceWeights).toBe("weights");
    expect(await predictor.readParameter("output_layer.linear.bias")).toEqual(average);
    using raw = await Denoiser.load(folder, { weights: "weights" });
    expect(await raw.readParameter("output_layer.linear.bias")).toEqual(new Float32Array(54));
  });

  it("is saved without a moving average where it has none, and starts one from the weights where it is trained on", async () => {
    using model = await Denoiser.create({ ...wide, trainable: false });
    await model.save(folder);
    expect(await readdir(folder)).not.toContain("ema.safetensors");
    using again = await Denoiser.load(folder, { trainable: true });
    expect(await again.readParameter("cond_embed.embedding", "ema")).toEqual(
      await model.readParameter("cond_embed.embedding"),
    );
    await expect(Denoiser.load(folder, { weights: "ema" })).rejects.toThrow(
      /CHECKPOINT_READ.*ema.safetensors/,
    );
  });

  it("takes published weights and lists what it ignored", async () => {
    using model = await Denoiser.create(wide);
    const { ignored } = await model.loadWeights(await published((_, shape) => shape));
    expect(ignored).toEqual(["noise.sigma_max"]);
    await using file = await SafetensorsFile.open(fixture);
    for (const { name } of model.parameters) {
      expect(await model.readParameter(name)).toEqual(await file.read(`param.${name}`));
      expect(await model.readParameter(name, "ema")).toEqual(await file.read(`param.${name}`));
    }
  });

  it("names every tensor that is missing or misshapen, and changes nothing", async () => {
    using model = await Denoiser.create(wide);
    const before = await model.readParameter("cond_embed.embedding");
    const path = await published((name, shape) => {
      if (name === "blocks.0.mlp.0.bias") return undefined;
      return name === "vocab_embed.embedding" ? [54, 64] : shape;
    });
    const attempt = expect(model.loadWeights(path)).rejects;
    await attempt.toThrow(/CHECKPOINT_TENSORS.*blocks\.0\.mlp\.0\.bias is missing/);
    await expect(model.loadWeights(path)).rejects.toThrow(
      /vocab_embed\.embedding is \[54, 64\] and should be \[54, 128\]/,
    );
    expect(await model.readParameter("cond_embed.embedding")).toEqual(before);
    await expect(Denoiser.create({ ...wide, weights: path })).rejects.toThrow(/CHECKPOINT_TENSORS/);
  });

  it("does not load with the vocabulary of another model, nor for data in another one", async () => {
    using model = await Denoiser.create(wide);
    await model.save(folder);
    const other = GeneVocabulary.fromIds(vocabulary.entries.slice(3).map(({ token }) => `other-${token}`));
    await expect(Denoiser.load(folder, { vocabulary: other })).rejects.toThrow(/CHECKPOINT_VOCABULARY/);
    await other.save(join(folder, "vocabulary.json"));
    await expect(Denoiser.load(folder)).rejects.toThrow(/CHECKPOINT_VOCABULARY.*vocabulary\.json/);
  });

  it.each([
    ["another format", (json) => delete json.format, /CHECKPOINT_CONFIG.*format/],
    ["a newer version", (json) => Object.assign(json, { version: 2 }), /CHECKPOINT_VERSION.*update/],
    ["no model", (json) => delete json.model, /CHECKPOINT_CONFIG/],
    [
      "a shape that cannot be",
      (json) => Object.assign(json.model as object, { heads: 7 }),
      /CHECKPOINT_CONFIG.*heads/,
    ],
    [
      "an embedding too small for its genes",
      (json) => Object.assign(json.model as object, { geneVocabSize: 9 }),
      /CHECKPOINT_CONFIG.*9 genes/,
    ],
    [
      "an unknown strategy",
      (json) => Object.assign(json.tokenizer as object, { strategy: { kind: "x" } }),
      /CHECKPOINT_CONFIG.*STRATEGY_UNKNOWN/,
    ],
    [
      "an unknown objective",
      (json) => Object.assign(json, { diffusion: { objective: { kind: "x" } } }),
      /CHECKPOINT_CONFIG/,
    ],
    ["an unknown type", (json) => Object.assign(json, { dtype: "fp8" }), /CHECKPOINT_CONFIG.*dtype/],
  ] as [string, (json: Record<string, unknown>) => unknown, RegExp][])(
    "says what is wrong with a config.json of %s",
    async (_, change, message) => {
      using model = await Denoiser.create(wide);
      await model.save(folder);
      await edit("config.json", change);
      await expect(Denoiser.load(folder)).rejects.toThrow(message);
    },
  );

  it("says that a folder holds no model, or a damaged one", async () => {
    await expect(Denoiser.load(folder)).rejects.toThrow(/CHECKPOINT_READ.*no model in it/);
    using model = await Denoiser.create(wide);
    await model.save(folder);
    await writeFile(join(folder, "ema.safetensors"), "garbage");
    await expect(Denoiser.load(folder)).rejects.toThrow(/CHECKPOINT_CORRUPT.*ema\.safetensors/);
    await writeFile(join(folder, "config.json"), "{");
    await expect(Denoiser.load(folder)).rejects.toThrow(/CHECKPOINT_CONFIG.*not JSON/);
  });

  it("replaces a model saved before and nothing else", async () => {
    using model = await Denoiser.create(wide);
    await model.save(folder);
    await model.writeParameter("output_layer.linear.bias", new Float32Array(54).fill(1));
    await model.save(folder);
    using again = await Denoiser.load(folder, { weights: "weights" });
    expect((await again.readParameter("output_layer.linear.bias"))[0]).toBe(1);
    await writeFile(join(root, "notes.txt"), "");
    await expect(model.save(root)).rejects.toThrow(/FILE_EXISTS/);
    expect((await readdir(root)).sort()).toEqual(["model", "notes.txt"]);
  });

  it("does not take the config.json of something else for a model saved before", async () => {
    using model = await Denoiser.create(wide);
    const config = join(root, "config.json");
    for (const text of ['{"compilerOptions":{}}', "{"]) {
      await writeFile(config, text);
      for (const path of [root, config]) await expect(model.save(path)).rejects.toThrow(/FILE_EXISTS/);
      expect(await readdir(root)).toEqual(["config.json"]);
      expect(await readFile(config, "utf8")).toBe(text);
    }
  });

  it("loads the best checkpoint of a run's folder, else the last", async () => {
    using model = await Denoiser.create(wide);
    await model.save(join(root, "last"));
    using last = await Denoiser.load(root, { weights: "weights" });
    expect((await last.readParameter("output_layer.linear.bias"))[0]).toBe(0);
    await model.writeParameter("output_layer.linear.bias", new Float32Array(54).fill(1));
    await model.save(join(root, "best"));
    using best = await Denoiser.load(root, { weights: "weights" });
    expect((await best.readParameter("output_layer.linear.bias"))[0]).toBe(1);
  });

  it("refuses parameters, sizes and options that do not exist", async () => {
    using model = await Denoiser.create(wide);
    await expect(model.readParameter("blocks.9.norm1.weight")).rejects.toThrow(/PARAMETER_UNKNOWN/);
    await expect(model.writeParameter("blocks.0.norm1.weight", new Float32Array(3))).rejects.toThrow(
      /ARGUMENT_LENGTH: expected 128 values/,
    );
    await expect(Denoiser.create({ ...wide, geneVocabSize: 10 })).rejects.toThrow(
      /ARGUMENT_RANGE.*geneVocabSize/,
    );
    await expect(Denoiser.create({ ...wide, dtype: "fp16" as "fp32" })).rejects.toThrow(
      /ARGUMENT_CHOICE.*dtype/,
    );
    await expect(Denoiser.create({ ...wide, device: "tpu" })).rejects.toThrow(/DEVICE_UNKNOWN/);
  });

  it("rejects calls once it is disposed of", async () => {
    const model = await Denoiser.create(wide);
    model[Symbol.dispose]();
    await expect(model.readParameter("blocks.0.norm1.weight")).rejects.toThrow(/MODEL_DISPOSED/);
  });
});
