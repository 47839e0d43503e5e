import { cp, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Denoiser } from "../../lib/model/denoiser.js";
import { SafetensorsFile } from "../../lib/model/safetensors.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";

const vocabulary = GeneVocabulary.fromIds(Array.from({ length: 40 }, (_, i) => `gene${i}`));
const shape = { hidden: 32, blocks: 1, heads: 2, condDim: 8 };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-finite-"));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

/** Overwrites one element of a tensor of a file of float32. */
async function spoil(file: string, tensor: string, element: number, value: number): Promise<void> {
  await using source = await SafetensorsFile.open(file);
  const { begin } = source.tensors.get(tensor)!;
  const data = [...source.tensors.values()].reduce((end, entry) => Math.max(end, entry.end), 0);
  const handle = await open(file, "r+");
  try {
    const { size } = await handle.stat();
    const bytes = new Uint8Array(Float32Array.of(value).buffer);
    await handle.write(bytes, 0, 4, size - data + begin + 4 * element);
  } finally {
    await handle.close();
  }
}

describe("a saved weight that is not finite", () => {
  it.each(["counts", "ranks"] as const)(
    "is named with its place when a model of %s is loaded",
    async (values) => {
      const folder = join(root, values);
      using model = await Denoiser.create({ vocabulary, shape, values, trainable: false });
      await model.save(folder);
      const weights = join(folder, "model.safetensors");
      for (const [value, text] of [
        [Number.NaN, "NaN"],
        [Number.NEGATIVE_INFINITY, "-Infinity"],
      ] as const) {
        await spoil(weights, "blocks.0.mlp.0.weight", 3 * 32 + 5, value);
        await expect(Denoiser.load(folder)).rejects.toMatchObject({
          code: "CHECKPOINT_NOT_FINITE",
          place: { file: weights },
          message: expect.stringContaining(`tensor "blocks.0.mlp.0.weight" has ${text} at [3, 5]`),
        });
      }
      await spoil(weights, "blocks.0.mlp.0.weight", 3 * 32 + 5, 3e38);
      using loaded = await Denoiser.load(folder);
      expect((await loaded.readParameter("blocks.0.mlp.0.weight"))[3 * 32 + 5]).toBe(Math.fround(3e38));
    },
  );

  it("leaves the model that it was meant for as it was", async () => {
    const folder = join(root, "other");
    using model = await Denoiser.create({ vocabulary, shape, values: "ranks", seed: 1 });
    using other = await Denoiser.create({ vocabulary, shape, values: "ranks", seed: 2 });
    await other.save(folder);
    const weights = join(folder, "model.safetensors");
    await spoil(weights, "output_layer.linear.bias", 0, Number.NaN);
    const before = await model.readParameter("vocab_embed.embedding");
    for (const path of [folder, weights])
      await expect(model.loadWeights(path)).rejects.toMatchObject({ code: "CHECKPOINT_NOT_FINITE" });
    expect(await model.readParameter("vocab_embed.embedding")).toEqual(before);
    expect(before).not.toEqual(await other.readParameter("vocab_embed.embedding"));
  });

  it("is found in the moving average, too", async () => {
    const folder = join(root, "average");
    using model = await Denoiser.create({ vocabulary, shape, values: "ranks" });
    await model.save(folder);
    const copy = join(root, "copy");
    await cp(folder, copy, { recursive: true });
    await spoil(join(copy, "ema.safetensors"), "sigma_map.mlp.0.bias", 7, Number.NaN);
    await expect(Denoiser.load(copy)).rejects.toMatchObject({ code: "CHECKPOINT_NOT_FINITE" });
    using loaded = await Denoiser.load(copy, { weights: "weights" });
    expect(loaded.parameterCount).toBe(model.parameterCount);
  });
});
