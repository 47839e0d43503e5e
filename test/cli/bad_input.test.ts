import { spawnSync } from "node:child_process";
import { copyFile, cp, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ddsc, type Ended, ended, start, trainRanks, writeStudy } from "./program.js";

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  const made = await trainRanks(1, 4);
  ({ folder, data, run } = made);
  expect(made.trained.code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

/** Expects one line `ddsc: CODE: ...` on stderr and this exit code. */
function expectFailure({ code, stderr }: Ended, exit: 1 | 2, begins: string): void {
  expect(code).toBe(exit);
  expect(stderr).toMatch(/^ddsc: [A-Z_]+: [^\n]+\n$/);
  expect(stderr).toContain(`ddsc: ${begins}`);
}

/** Whether file systems can be mounted here: a container's root may, others may not. */
const canMount = (() => {
  const probe = spawnSync("sh", [
    "-c",
    'd=$(mktemp -d) && mount -t tmpfs -o size=64k none "$d" && umount "$d"; s=$?; rmdir "$d"; exit $s',
  ]);
  return probe.status === 0;
})();

/** A small file system of its own while `use` runs. */
async function onTmpfs(name: string, size: string, use: (path: string) => Promise<void>): Promise<void> {
  const path = join(folder, name);
  await mkdir(path);
  expect(spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "none", path]).status).toBe(0);
  try {
    await use(path);
  } finally {
    spawnSync("umount", ["-l", path]);
  }
}

describe("a wrong command line ends with exit code 2 and one line that names the option", () => {
  it.each([
    [["train", "--stpes", "3"], "USAGE: unknown option '--stpes' (Did you mean --steps?)"],
    [["help", "trian"], "USAGE: unknown command 'trian' (did you mean \"train\"?)"],
    [["help", "nosuch"], "USAGE: unknown command 'nosuch'"],
    [
      ["convert", "x.h5ad", "--out", "x.csv"],
      "USAGE: --out x.csv: no .csv is written; what is written is NAME.h5ad",
    ],
    [["convert", "x.h5ad", "--out", "x.loom/"], "USAGE: --out x.loom/: no .loom is written"],
    [["convert", "x.h5ad", "--out", "shards.parquet"], "USAGE: --out shards.parquet: no .parquet is written"],
    [
      ["impute", "--model", "x", "--data", "x", "--out", "x.CSV"],
      "USAGE: --out x.CSV: no .CSV is written; what is",
    ],
    [
      ["generate", "--model", "x", "--genes", "x", "--out", "x.h5"],
      "USAGE: --out x.h5: no .h5 is written; what is",
    ],
    [["trian"], "USAGE: unknown command 'trian' (Did you mean train?)"],
    [
      ["train", "--steps", "0"],
      "USAGE: expected a whole number >= 1 and <= 1000000000 for --steps but received 0",
    ],
    [["train", "--batch"], "USAGE: option '--batch <N>' argument missing"],
    [["train", "--values", "ranks", "--data", "x.h5ad"], "USAGE: train needs --out <PATH>"],
    [["train", "--out", "x"], "USAGE: train needs --data <FILE>"],
    [["inspect"], "USAGE: missing required argument 'file'"],
    [
      ["evaluate", "--model", "x", "--ratios", "0.5,2"],
      "USAGE: expected a number >= 0.01 and <= 0.99 for --ratios",
    ],
    [["devices", "--data", "x"], "USAGE: unknown option '--data'"],
  ])("%j", async (words, start) => {
    expectFailure(await ddsc(...words), 2, start);
  });

  it("two batch sizes, a list without genes, a device that is not there", async () => {
    const out = join(folder, "never");
    const train = ["train", "--values", "ranks", "--data", data, "--out", out];
    expectFailure(
      await ddsc(...train, "--batch", "4", "--batch-tokens", "512"),
      2,
      "USAGE: --batch and --batch-tokens",
    );
    const impute = ["impute", "--model", run, "--data", data, "--out", `${out}.h5ad`];
    expectFailure(await ddsc(...impute, "--fill", "listed"), 2, "USAGE: --fill listed needs --genes");
    expectFailure(await ddsc(...train, "--device", "tpu"), 1, "DEVICE_UNKNOWN");
    expect(await readdir(folder)).not.toContain("never");
  });
});

describe("data that cannot be used ends with exit code 1 and one line that names the file", () => {
  it.each(["train", "evaluate", "impute", "inspect"])("a missing file: %s", async (command) => {
    const none = join(folder, "none.h5ad");
    const words = command === "inspect" ? [none] : ["--data", none, "--out", join(folder, "never")];
    const model = command === "evaluate" || command === "impute" ? ["--model", run] : [];
    const given = command === "evaluate" ? words.slice(0, 2) : words;
    expectFailure(await ddsc(command, ...given, ...model), 1, `DATA_NOT_FOUND: ${none}`);
  });

  it("a truncated file, garbage, text, an empty file and a folder", async () => {
    const truncated = join(folder, "truncated.h5ad");
    await copyFile(data, truncated);
    await truncate(truncated, 3000);
    const garbage = join(folder, "garbage.h5ad");
    await writeFile(garbage, Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251)));
    const text = join(folder, "text.h5ad");
    await writeFile(text, "Dear reader,\nthere are no cells in this letter.\n");
    const empty = join(folder, "empty.h5ad");
    await writeFile(empty, "");
    const out = join(folder, "never");
    for (const [file, code] of [
      [truncated, "DATA_"],
      [garbage, "DATA_FORMAT"],
      [text, "DATA_"],
      [empty, "DATA_FORMAT"],
      [folder, "DATA_"],
    ] as const) {
      const result = await ddsc("train", "--values", "ranks", "--data", file, "--out", out);
      expectFailure(result, 1, code);
      expect(result.stderr).toContain(file);
    }
    expect(await readdir(folder)).not.toContain("never");
  });

  it("cells that are too large for a batch, or too small, in the words of the command line", async () => {
    const train = [
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--out",
      join(folder, "small"),
      "--steps",
      "1",
    ];
    const { code, stderr } = await ddsc(...train, "--batch-tokens", "16");
    expect(code).toBe(1);
    expect(stderr).toMatch(/BATCH_TOKENS_TOO_FEW: .*; raise --batch-tokens or lower --max-length\n$/);
    const { stderr: few } = await ddsc(...train, "--overwrite", "--min-genes", "1000");
    expect(few).toMatch(/DATA_NO_CELLS: .* and --min-genes\n$/);
  });

  it("a layer that is not there", async () => {
    expectFailure(await ddsc("inspect", data, "--layer", "counts"), 1, "DATA_MISSING_LAYER");
  });

  it("genes that the model does not know", async () => {
    const other = join(folder, "other_genes.h5ad");
    await writeStudy(other, { genes: 200 });
    const out = join(folder, "never.h5ad");
    const words = ["--model", run, "--out", out];
    // Names of 200 genes have three digits, those of 24 have two.
    expectFailure(await ddsc("impute", ...words, "--data", other), 1, "DATA_NO_KNOWN_GENES");
    expectFailure(await ddsc("impute", ...words, "--data", data, "--genes", "Sox2"), 1, "GENE_UNKNOWN");
    expectFailure(await ddsc("generate", ...words, "--genes", "Sox2"), 1, "GENE_UNKNOWN");
    const near = '(did you mean "GENE03"?); correct it, or leave it out';
    for (const command of [["impute", "--data", data], ["generate"]]) {
      const result = await ddsc(...command, ...words, "--genes", "gene03");
      expectFailure(result, 1, 'GENE_UNKNOWN: gene "gene03"');
      expect(result.stderr).toContain(near);
    }
    for (const command of [["impute", "--data", data], ["generate"]]) {
      const none = await ddsc(...command, ...words, "--genes", "Sox2,CD4", "--skip-unknown");
      expectFailure(none, 1, "GENE_UNKNOWN: none of the 2 genes");
      const some = join(folder, `${command[0]}_some.h5ad`);
      const result = await ddsc(
        ...command,
        ...["--model", run, "--out", some, "--genes", "GENE03,CD4,Sox2", "--skip-unknown"],
        ...(command[0] === "generate" ? ["--cells", "2"] : []),
      );
      expect(result.code).toBe(0);
      expect(result.stderr).toMatch(/left out 2 of 3 genes of --genes, .*: CD4, Sox2\n/);
    }
    expect(await readdir(folder)).not.toContain("never.h5ad");
  });
});

describe("a model that cannot be used ends with exit code 1 and one line that names the file", () => {
  /** Evaluates a copy of the run's model after `damage`. */
  async function evaluateDamaged(name: string, damage: (model: string) => Promise<void>): Promise<Ended> {
    const model = join(folder, name);
    await cp(join(run, "last"), model, { recursive: true, dereference: true });
    await damage(model);
    return ddsc("evaluate", "--model", model, "--data", data);
  }

  it("no model at all", async () => {
    expectFailure(await ddsc("evaluate", "--model", join(folder, "none")), 1, "CHECKPOINT_READ");
  });

  it("a file in place of a run", async () => {
    const result = await ddsc("train", "--resume", "--out", data);
    expectFailure(result, 1, "CHECKPOINT_READ");
    expect(result.stderr).toContain("part of the path is a file, not a folder; give the folder of");
  });

  it("truncated weights", async () => {
    const result = await evaluateDamaged("cut", (model) => truncate(join(model, "ema.safetensors"), 10_000));
    expectFailure(result, 1, "CHECKPOINT_CORRUPT");
  });

  it("garbage in place of weights and of the configuration", async () => {
    const weights = await evaluateDamaged("noise", (model) =>
      writeFile(join(model, "ema.safetensors"), "no tensors"),
    );
    expectFailure(weights, 1, "CHECKPOINT_CORRUPT");
    const config = await evaluateDamaged("noise2", (model) => writeFile(join(model, "config.json"), "{"));
    expectFailure(config, 1, "CHECKPOINT_CONFIG");
  });

  it("the vocabulary of another model", async () => {
    const result = await evaluateDamaged("mixed", async (model) => {
      const file = join(model, "vocabulary.json");
      const json = JSON.parse(await readFile(file, "utf8"));
      const entries = Object.fromEntries(
        json.entries.map(({ id, token }: { id: number; token: string }) => [
          `${token}${id > 2 ? "x" : ""}`,
          id,
        ]),
      );
      await writeFile(file, JSON.stringify(entries));
    });
    expectFailure(result, 1, "CHECKPOINT_VOCABULARY");
  });

  it.each([
    ["a zip archive", Buffer.from(`PK\x03\x04${"\0".repeat(26)}model/data.pkl${"\0".repeat(200)}`, "latin1")],
    ["a pickle, as before PyTorch 1.6", Buffer.from("80028a0a6cfc9c46f9206aa850192e80024de903", "hex")],
  ])("weights that PyTorch wrote are named as such: %s", async (_, bytes) => {
    const weights = join(folder, "model.ckpt");
    await writeFile(weights, bytes);
    const result = await ddsc(
      "train",
      "--values",
      "ranks",
      "--data",
      data,
      "--out",
      join(folder, "never"),
      "--weights",
      weights,
    );
    expectFailure(
      result,
      1,
      `CHECKPOINT_PYTORCH: ${weights}: is a PyTorch checkpoint; make a model of it: ddsc import model.ckpt`,
    );
  });

  it("weights to start from that are of another shape", async () => {
    const words = ["train", "--values", "ranks", "--data", data, "--out", join(folder, "never")];
    const result = await ddsc(...words, "--weights", "test/fixtures/deep.safetensors");
    expectFailure(result, 1, "CHECKPOINT_TENSORS");
    expect(await readdir(folder)).not.toContain("never");
  });
});

describe("a place that cannot be written ends with exit code 1, one line and nothing half-written", () => {
  it("a file that is there, without --overwrite", async () => {
    const out = join(folder, "there.h5ad");
    await writeFile(out, "precious");
    const words = ["impute", "--model", run, "--data", data, "--out", out];
    expectFailure(await ddsc(...words), 1, `FILE_EXISTS: ${out}`);
    expect(await readFile(out, "utf8")).toBe("precious");
  });

  it("the file that is read, even with --overwrite", async () => {
    const own = join(folder, "own.h5ad");
    await copyFile(data, own);
    const before = await readFile(own);
    for (const words of [
      ["convert", own],
      ["impute", "--model", run, "--data", own],
      ["generate", "--model", run, "--data", own, "--genes", "GENE05", "--cells", "1"],
    ]) {
      const out = `${folder}/./own.h5ad`;
      expectFailure(await ddsc(...words, "--out", out, "--overwrite"), 2, `ARGUMENT_CONFLICT: ${out}`);
      expect(await readFile(own)).toEqual(before);
    }
  });

  it("a folder of something else, even with --overwrite", async () => {
    const out = join(folder, "photos");
    await mkdir(out);
    await writeFile(join(out, "cat.jpg"), "");
    expectFailure(
      await ddsc("train", "--values", "ranks", "--data", data, "--out", out, "--overwrite"),
      1,
      `FILE_EXISTS: ${out}`,
    );
    expect(await readdir(out)).toEqual(["cat.jpg"]);
  });

  it("a path below a file", async () => {
    const below = join(data, "out");
    const train = ["train", "--values", "ranks", "--data", data, "--steps", "1", "--quiet", "--out", below];
    expectFailure(await ddsc(...train), 1, "FILE_WRITE");
    const impute = ["impute", "--model", run, "--data", data, "--out", join(below, "x.h5ad")];
    expectFailure(await ddsc(...impute), 1, "FILE_WRITE");
  });

  it.skipIf(!canMount)("a full disk", async () => {
    await onTmpfs("full", "200k", async (path) => {
      const train = await ddsc(
        "train",
        "--data",
        data,
        "--steps",
        "1",
        "--quiet",
        "--out",
        join(path, "run"),
      );
      expectFailure(train, 1, "FILE_WRITE");
      expect(train.stderr).toContain("the disk is full");
      const left = await readdir(path, { recursive: true });
      expect(left.filter((name) => /safetensors|step-|tmp/.test(name))).toEqual([]);

      await writeFile(join(path, "filler"), Buffer.alloc(190_000));
      const impute = await ddsc("impute", "--model", run, "--data", data, "--out", join(path, "x.h5ad"));
      expectFailure(impute, 1, "FILE_WRITE");
      expect(impute.stderr).toContain("the disk is full");
      expect((await readdir(path)).filter((name) => name.includes("x.h5ad"))).toEqual([]);
    });
  });

  it.skipIf(!canMount)("a read-only folder", async () => {
    await onTmpfs("sealed", "64k", async (path) => {
      expect(spawnSync("mount", ["-o", "remount,ro", path]).status).toBe(0);
      const train = await ddsc(
        "train",
        "--data",
        data,
        "--steps",
        "1",
        "--quiet",
        "--out",
        join(path, "run"),
      );
      expectFailure(train, 1, "FILE_WRITE");
      expect(train.stderr).toContain("read-only");
      for (const name of ["shards", join("more", "shards"), "cells.h5ad"]) {
        const converted = await ddsc("convert", data, "--out", join(path, name));
        expectFailure(converted, 1, "FILE_WRITE");
        expect(converted.stderr).toContain("read-only");
      }
    });
  });
});

describe("a setting of the environment that cannot be ends with exit code 1 and one line that names it", () => {
  it("an instruction set that is not there", async () => {
    expectFailure(await ended(start(["devices"], { DDSC_ISA: "mmx" })), 1, "DEVICE_ISA");
  });
});

describe("--json and --debug tell of an error, too", () => {
  it("as an object on the last line of stdout, and with the place it came from on stderr", async () => {
    const { code, stderr, json } = await ddsc("inspect", join(folder, "none.h5ad"), "--json", "--debug");
    expect(code).toBe(1);
    expect(json()).toMatchObject({ error: { code: "DATA_NOT_FOUND" } });
    expect(stderr).toMatch(/\n {4}at /);
  });
});
