import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCells } from "../../lib/data/open/open_cells.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { type Ended, ended, writeStudy } from "../cli/program.js";
import { isBuilt } from "../node_program.js";

const ROOT = join(import.meta.dirname, "../..");

let folder: string;
let data: string;
let run: string;
let trained: Ended;

/**
 * Starts an example as its first lines say. "ddsc" is the built package; where there is none, the sources, to which
 * tsconfig.json in the root leads.
 */
function start(name: string, ...words: readonly string[]): ChildProcessWithoutNullStreams {
  const script = join(ROOT, "examples", `${name}.ts`);
  return spawn(process.execPath, ["--import", import.meta.resolve("tsx"), script, ...words], {
    cwd: isBuilt ? folder : ROOT,
    env: process.env,
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-examples-"));
  data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  await writeStudy(data);
  trained = await ended(start("train", data, run, "6"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("the examples", () => {
  it("are those that are tested here, and the notebook, which has a test of its own", async () => {
    expect((await readdir(join(ROOT, "examples"))).sort()).toEqual([
      "files.ts",
      "generate.ts",
      "impute.ts",
      "notebook.ipynb",
      "resume.ts",
      "service.ts",
      "train.ts",
    ]);
  });

  it("go from file to file", async () => {
    const { stdout, stderr } = await ended(start("files", data, join(folder, "counts"), "4"));
    expect(stderr).toBe("");
    const [number, sentence] = ["\\d+\\.\\d+", "With 50% of the genes hidden the model .*"];
    const generated = "60 cells generated, \\d+ counts each on average";
    const lines = [`best held out: ${number} nats a gene at step \\d`, sentence, generated];
    expect(stdout).toMatch(new RegExp(`^(step \\d: ${number} nats a gene\n){4}${lines.join("\n")}\n$`));
    for (const [name, cells] of [
      ["imputed", 60],
      ["embedded", 60],
      ["generated", 60],
    ] as const) {
      using made = await openCells(data.replace(".h5ad", `-${name}.h5ad`));
      expect(made.cellCount).toBe(cells);
    }
  });

  it("train on an .h5ad file", async () => {
    expect(trained.stderr).toBe("");
    expect(trained.stdout).toMatch(/^60 cells of 24 genes; \d+ parameters on cpu/);
    expect(trained.stdout).toMatch(/\nstep 6: loss \d+\.\d+, held out \d+\.\d+\nsaved in .*run\n$/);
  });

  it("fill in genes without a count", async () => {
    using cells = await openCells(data);
    const { columns, counts } = await cells.read(Int32Array.of(2));
    const expressed = new Set(Array.from(columns, (gene) => cells.genes[gene]!.id));
    const { stdout, stderr } = await ended(start("impute", run, data, "2"));
    expect(stderr).toBe("");
    const [head, ...lines] = stdout.trimEnd().split("\n");
    expect(head).toBe("gene\trank\tcount\tprobability");
    // A token a gene, and the cls token.
    expect(lines.length).toBe(Math.min(cells.genes.length - expressed.size, expressed.size + 1));
    for (const line of lines) {
      const [gene, rank, count, probability] = line.split("\t");
      expect(expressed).not.toContain(gene);
      expect(Number(rank)).toBeLessThan(51);
      expect(Number(count)).toBeGreaterThan(0);
      expect(Number(count)).toBeLessThanOrEqual(Math.max(...counts));
      expect(Number(probability)).toBeGreaterThan(0);
    }
  });

  it("generate cells", async () => {
    using cells = await openCells(data);
    const names = cells.genes.slice(3, 6).map(({ id }) => id);
    const out = join(folder, "new.h5ad");
    const { stdout, stderr } = await ended(start("generate", run, out, "4", names.join(",")));
    expect(stderr).toBe("");
    expect(stdout).toBe(`${out}: 4 cells x 3 genes\n`);
    using made = await openCells(out);
    expect(made.cellCount).toBe(4);
    expect(made.genes.map(({ id }) => id)).toEqual(names);
  });

  it("resume a run that was stopped, and end with the weights of one that was not", async () => {
    const stopped = join(folder, "stopped");
    const first = start("resume", data, stopped, "6", "0");
    expect((await ended(first)).stdout).toMatch(/^steps 0 to \d of 6; ended by time\n$/);
    const second = await ended(start("resume", data, stopped, "6", "3600"));
    expect(second.stdout).toMatch(/^steps \d to 6 of 6; ended by steps\n$/);
    const whole = join(folder, "whole");
    const never = await ended(start("resume", data, whole, "6", "3600"));
    expect(never.stdout).toBe("steps 0 to 6 of 6; ended by steps\n");
    const weights = async (of: string) => {
      using model = await Denoiser.load(join(of, "last"));
      return model.readParameter(model.parameters[0]!.name);
    };
    expect(await weights(stopped)).toEqual(await weights(whole));
  });
});

describe("the example of a web service", () => {
  let service: ChildProcessWithoutNullStreams;
  let address: string;
  let genes: readonly string[];

  beforeAll(async () => {
    using cells = await openCells(data);
    genes = cells.genes.map(({ id }) => id);
    service = start("service", run, "0");
    const line = await new Promise<string>((resolve, reject) => {
      service.stdout.once("data", (piece: Buffer) => resolve(piece.toString()));
      service.once("close", () => reject(new Error("the service ended")));
    });
    const { port } = JSON.parse(line.slice(line.indexOf("{"))) as { port: number };
    address = `http://localhost:${port}`;
  });
  afterAll(async () => {
    const end = ended(service);
    service.kill("SIGTERM");
    expect((await end).code).toBe(0);
  });

  const post = async (body: unknown) => {
    const answer = await fetch(address, { method: "POST", body: JSON.stringify(body) });
    return { status: answer.status, body: (await answer.json()) as unknown };
  };

  it("fills in the genes that were asked for", async () => {
    const counts = { [genes[0]!]: 5, [genes[1]!]: 1 };
    const { status, body } = await post({ counts, fill: [genes[4]] });
    expect(status).toBe(200);
    expect(body).toEqual([
      {
        gene: genes[4],
        rank: expect.any(Number),
        expectedRank: expect.any(Number),
        probability: expect.any(Number),
      },
    ]);
  });

  it("says what is wrong with a request", async () => {
    const counts = { [genes[0]!]: 5 };
    expect(await post({ counts, fill: ["Nanog9"] })).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^GENE_UNKNOWN/) },
    });
    expect(await post({ counts: { [genes[0]!]: -1 }, fill: [] })).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^DATA_NEGATIVE_COUNT/) },
    });
    for (const body of [
      null,
      {},
      { counts: {}, fill: [genes[1]] },
      { fill: [genes[1]] },
      { counts, fill: 1 },
    ])
      expect(await post(body)).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(/^ARGUMENT_TYPE: send/) },
      });
  });
});
