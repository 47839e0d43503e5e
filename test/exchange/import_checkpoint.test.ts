import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { TensorReference } from "../../lib/exchange/pickle_values.js";
import { TorchFile } from "../../lib/exchange/torch_file.js";
import { Denoiser, importCheckpoint } from "../../lib/index.js";
import { SafetensorsFile } from "../../lib/model/safetensors.js";
import { ddsc, writeStudy } from "../cli/program.js";
import { temporaryFolder } from "../data/support.js";
import {
  bytesOf,
  CHECKPOINTS,
  fixture,
  op,
  pickle,
  tensor,
  VOCABULARY,
  writeCheckpoint,
} from "./checkpoints.js";

/** What a checkpoint is made into, in a folder of the test. */
async function imported(name: string, options: Partial<Parameters<typeof importCheckpoint>[0]> = {}) {
  const out = join(temporaryFolder(), "model");
  return await importCheckpoint({ checkpoint: fixture(name), vocabulary: VOCABULARY, out, ...options });
}

/** Tensors of a file by name, bit for bit. */
async function tensorsOf(path: string, prefix = ""): Promise<Map<string, Buffer>> {
  await using file = await SafetensorsFile.open(path);
  const found = new Map<string, Buffer>();
  for (const name of file.tensors.keys()) {
    if (!name.startsWith(prefix)) continue;
    const { buffer, byteOffset, byteLength } = await file.read(name);
    found.set(name.slice(prefix.length), Buffer.from(buffer, byteOffset, byteLength));
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe("a checkpoint that PyTorch wrote", () => {
  it.each(CHECKPOINTS)("%s becomes a model of the same bits", async (name) => {
    const { out, average, parameters } = await imported(name);
    // protocol4.pt holds what bare.pt does.
    const expected = fixture(`${name.split(".")[0]?.replace("protocol4", "bare")}.safetensors`);
    expect(await tensorsOf(join(out, "model.safetensors"))).toEqual(await tensorsOf(expected, "weights."));
    const ema = await tensorsOf(expected, "ema.");
    expect([average, existsSync(join(out, "ema.safetensors"))]).toEqual([ema.size > 0, ema.size > 0]);
    if (average) expect(await tensorsOf(join(out, "ema.safetensors"))).toEqual(ema);
    using model = await Denoiser.load(out, { device: "cpu" });
    expect(model.parameterCount).toBe(parameters);
  });

  it("of Lightning tells shape, objective and schedule by its hyperparameters", async () => {
    const { config, diffusion, maxLength, assumed, prefix, ignored, genes } =
      await imported("lightning.ckpt");
    expect(config).toEqual({
      ...{ vocabSize: 8, geneVocabSize: 9, hidden: 8, blocks: 2, heads: 2, condDim: 4 },
      ...{ dropout: 0.25, timeConditioning: true, rotary: true },
    });
    expect(diffusion).toMatchObject({
      objective: { kind: "subs" },
      schedule: { kind: "geometric", min: 1e-3, max: 7 },
      antithetic: true,
      minimumTime: 1e-3,
    });
    expect({ maxLength, assumed, prefix, genes }).toEqual({
      ...{ maxLength: 64, assumed: [], prefix: "backbone.", genes: 4 },
    });
    expect(ignored).toEqual(["backbone.rotary_inv_freq", "noise.sigma_max"]);
  });

  it("of a Namespace does, too, and what the caller says comes first", async () => {
    const { config, diffusion, assumed } = await imported("averaging.ckpt", {
      shape: { dropout: 0, timeConditioning: true },
      diffusion: { schedule: { kind: "linear" } },
    });
    expect(config).toMatchObject({ heads: 2, dropout: 0, timeConditioning: true });
    expect(diffusion).toMatchObject({ objective: { kind: "sedd" }, schedule: { kind: "linear" } });
    expect(assumed).toEqual([]);
  });

  it("of weights alone says what was assumed", async () => {
    const { config, assumed } = await imported("bare.pt");
    expect(config.heads).toBe(1);
    expect(assumed).toEqual([
      ...["heads 1", "dropout 0.1", "time conditioning off", "objective subs", "noise schedule loglinear"],
    ]);
    expect((await imported("bare.pt", { shape: { heads: 2 } })).config.heads).toBe(2);
  });

  it("gives the logits of PyTorch, of the weights and of their moving average", async () => {
    const { out } = await imported("lightning.ckpt");
    await using file = await SafetensorsFile.open(fixture("forward.safetensors"));
    const tokens = await file.readIntegers("in.tokens");
    const genes = await file.readIntegers("in.genes");
    for (const weights of ["weights", "ema"] as const) {
      using model = await Denoiser.load(out, { device: "cpu", weights });
      using prediction = await model.native.predict(
        { offsets: Int32Array.of(0, 5, 10), genes, tokens, cells: Float64Array.of(0, 1) },
        { conditioning: await file.read("in.sigma"), rows: Int32Array.from(tokens.keys()) },
      );
      const logits = await prediction.logits();
      const expected = await file.read(weights === "ema" ? "out.ema_logits" : "out.logits");
      expect(logits.length).toBe(expected.length);
      const scale = Math.max(...expected.map(Math.abs));
      const worst = Math.max(...logits.map((value, i) => Math.abs(value - (expected[i] as number)) / scale));
      expect(worst).toBeLessThan(1e-5);
    }
  });
});

describe("a checkpoint that cannot be used", () => {
  it("of the format before PyTorch 1.6, of safetensors or of text is refused in words for what it is", async () => {
    await expect(imported("legacy.pt")).rejects.toThrow("CHECKPOINT_FORMAT");
    await expect(imported("bare.safetensors")).rejects.toThrow("is safetensors, not a checkpoint of PyTorch");
    await expect(imported("vocabulary.json")).rejects.toThrow("is not a checkpoint of PyTorch");
    await expect(imported("no.ckpt")).rejects.toMatchObject({ code: "CHECKPOINT_READ" });
    await expect(imported("")).rejects.toMatchObject({ code: "CHECKPOINT_READ" });
  });

  it("that is cut short or changed is damaged, and leaves nothing behind", async () => {
    const folder = temporaryFolder();
    const checkpoint = join(folder, "bare.pt");
    copyFileSync(fixture("bare.pt"), checkpoint);
    truncateSync(checkpoint, 20_000);
    const options = { checkpoint, vocabulary: VOCABULARY, out: join(folder, "out") };
    await expect(importCheckpoint(options)).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
    const changed = bytesOf(fixture("bare.pt"));
    // A number of the first storage: its checksum no longer fits.
    changed[changed.indexOf("data/0") + 200]! ^= 1;
    writeFileSync(checkpoint, changed);
    await expect(importCheckpoint(options)).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
    expect(readdirSync(folder)).toEqual(["bare.pt"]);
  });

  it("of no denoiser, or of several, is told by the names that it has", async () => {
    const one = tensor({ key: "0", count: 4, shape: [2, 2], strides: [2, 1] });
    const storages = { 0: new Uint8Array(16) };
    const dictionary = (...names: string[]) =>
      pickle(op.emptyDict, ...names.flatMap((name) => [op.text(name), one, op.setItem]));
    const give = (pickled: Buffer) => imported("", { checkpoint: writeCheckpoint(pickled, storages) });
    await expect(give(pickle(op.emptyList))).rejects.toMatchObject({ code: "CHECKPOINT_STATE" });
    await expect(give(pickle(op.emptyDict))).rejects.toThrow("it holds no state dict of tensors");
    await expect(give(dictionary("conv.weight"))).rejects.toThrow('it has "conv.weight"');
    await expect(give(dictionary("a.vocab_embed.embedding", "b.vocab_embed.embedding"))).rejects.toThrow(
      "weights of several models: a., b.",
    );
    await expect(give(dictionary("vocab_embed.embedding"))).rejects.toThrow(
      "cond_embed.embedding is missing",
    );
    await expect(give(dictionary("vocab_embed.embedding", "factor.weight"))).rejects.toThrow(
      "a model of counts",
    );
  });

  it("whose tensors claim more numbers than there are takes no memory for them", async () => {
    const small = new Uint8Array(16);
    const big = { strides: [0, 0], count: 4 } as const;
    const shapes: readonly (readonly [string, readonly (number | bigint)[]])[] = [
      ["vocab_embed.embedding", [8, 8]],
      ["cond_embed.embedding", [16_000_000, 8]],
      ["sigma_map.mlp.0.weight", [4, 256]],
    ];
    const entries = shapes.flatMap(([name, shape], i) => [
      ...[op.text(name), tensor({ key: String(i), shape, ...big }), op.setItem],
    ]);
    const block = [
      op.text("blocks.0.norm1.weight"),
      tensor({ key: "9", ...big, shape: [8], strides: [0] }),
      op.setItem,
    ];
    const checkpoint = writeCheckpoint(pickle(op.emptyDict, ...entries, ...block), {
      ...{ 0: small, 1: small, 2: small, 9: small },
    });
    // Only what is missing is told: nothing was read.
    await expect(imported("", { checkpoint })).rejects.toThrow("blocks.0.norm2.weight is missing");
  });

  it("with numbers outside of a storage, of whole numbers, or shared without end is refused by name", async () => {
    using file = await TorchFile.open(fixture("bare.pt"));
    const storage = { key: "0", dtype: "float32", count: 64 };
    const read = (shape: number[], strides: number[], offset = 0, of = storage) =>
      file.read("x", new TensorReference(of, of.dtype, offset, shape, strides));
    expect(await read([8, 8], [8, 1])).toHaveLength(64);
    expect(await read([0, 9], [1, 1], 64)).toHaveLength(0);
    for (const bad of [
      read([8, 8], [8, 1], 1),
      read([65], [0]),
      read([2], [2 ** 52]),
      read([2 ** 30, 2 ** 30, 2 ** 30], [0, 0, 0]),
      read([1], [1], 2 ** 50),
      read([64], [1], 0, { ...storage, key: "77" }),
      read([64], [1], 0, { ...storage, count: 63 }),
    ])
      await expect(bad).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
    for (const dtype of ["int64", "float8_e4m3fn", "constructor"])
      await expect(read([1], [1], 0, { ...storage, dtype })).rejects.toMatchObject({
        code: "CHECKPOINT_DTYPE",
      });
    // Tied weights are fine, one storage read without end is not.
    const often = async () => {
      for (let time = 0; time < 10_000; time++) await read([64], [1]);
    };
    await expect(often()).rejects.toThrow("share their numbers so often");
  });

  it("with compressed numbers is refused: a small file could claim any size", async () => {
    const path = writeCheckpoint(pickle(op.emptyDict), { 0: deflateRawSync(Buffer.alloc(256)) });
    const bytes = bytesOf(path);
    const deflated = deflateRawSync(Buffer.alloc(256)).length;
    for (let at = bytes.indexOf("archive/data/0"); at >= 0; at = bytes.indexOf("archive/data/0", at + 1)) {
      // Local header: 30 bytes before the name; in the list 46.
      const isLocal = bytes.toString("latin1", at - 30, at - 26) === "PK\x03\x04";
      bytes.writeUInt16LE(8, isLocal ? at - 22 : at - 36);
      bytes.writeUInt32LE(256, isLocal ? at - 8 : at - 22);
      expect(bytes.readUInt32LE(isLocal ? at - 12 : at - 26)).toBe(deflated);
    }
    writeFileSync(path, bytes);
    using file = await TorchFile.open(path);
    const reference = new TensorReference({ key: "0", dtype: "float32", count: 64 }, "float32", 0, [64], [1]);
    await expect(file.read("x", reference)).rejects.toThrow("is compressed, which PyTorch never does");
  });

  it("with a weight that is no number, or genes that its embedding has no rows for, is refused", async () => {
    const folder = temporaryFolder();
    const many = join(folder, "many.json");
    const tokens = ["<pad>", "<cls>", "<eoc>", ...Array.from({ length: 7 }, (_, i) => `GENE${i}`)];
    writeFileSync(many, JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))));
    await expect(imported("bare.pt", { vocabulary: many })).rejects.toThrow(
      "its embedding has 9 genes and the vocabulary has ids up to 9",
    );
    await expect(imported("bare.pt", { shape: { heads: 3 } })).rejects.toMatchObject({
      code: "CHECKPOINT_CONFIG",
    });
    await expect(imported("bare.pt", { shape: { heads: 0 } })).rejects.toMatchObject({
      code: "ARGUMENT_RANGE",
    });
    await expect(imported("bare.pt", { shape: { head: 2 } as never })).rejects.toThrow('have no "head"');
  });
});

describe("ddsc import", () => {
  it("makes a model that inspect, evaluate and impute take", async () => {
    const folder = temporaryFolder();
    const out = join(folder, "model");
    const data = join(folder, "cells.h5ad");
    await writeStudy(data, { genes: 8 });
    const vocabulary = join(folder, "vocabulary.json");
    const tokens = ["<pad>", "<cls>", "<eoc>", ...Array.from({ length: 6 }, (_, i) => `GENE${i}`)];
    writeFileSync(vocabulary, JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))));
    const words = ["import", fixture("bare.pt"), "--vocabulary", vocabulary, "--out", out];
    const made = await ddsc(...words, "--heads", "2", "--json");
    expect([made.code, made.json()]).toMatchObject([0, { out, config: { heads: 2 }, average: false }]);
    expect(made.stderr).toContain("does not say, so this was assumed: dropout 0.1, time conditioning off");
    const again = await ddsc(...words);
    expect([again.code, again.stderr]).toMatchObject([1, expect.stringContaining("FILE_EXISTS")]);
    expect((await ddsc(...words, "--overwrite", "--objective", "d3pm", "--diffusion-steps", "50")).code).toBe(
      0,
    );
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config.diffusion.objective).toEqual({ kind: "d3pm", steps: 50 });

    expect((await ddsc("inspect", out)).stdout).toContain("2 blocks, 8 wide, 1 heads");
    const scored = await ddsc("evaluate", "--model", out, "--data", data, "--json");
    expect([scored.code, scored.stderr.includes("INTERNAL")]).toEqual([0, false]);
    const filled = await ddsc(
      ...[
        "impute",
        "--model",
        out,
        "--data",
        data,
        "--genes",
        "GENE1,GENE2",
        "--out",
        join(folder, "filled.h5ad"),
      ],
    );
    expect([filled.code, existsSync(join(folder, "filled.h5ad"))]).toEqual([0, true]);
  }, 60_000);

  it("refuses what a pickle asks for in one line", async () => {
    const evil = writeCheckpoint(
      pickle(op.global("os", "system"), op.mark, op.text("id\u001b[31m"), op.tuple, op.reduce),
    );
    const { code, stderr } = await ddsc(
      "import",
      evil,
      "--vocabulary",
      VOCABULARY,
      "--out",
      join(temporaryFolder(), "x"),
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^ddsc: CHECKPOINT_GLOBAL: [^\n]*its pickle asks for os\.system[^\n]*\n$/);
  });
});
