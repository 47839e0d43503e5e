import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCells } from "../../lib/data/open/open_cells.js";
import { subsetSource } from "../../lib/data/sources/subset.js";
import { type GenerateFileOptions, generateFile } from "../../lib/generation/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { sourceOf, study, trainedModel } from "../imputation/support.js";

let folder: string;
let model: Denoiser;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-generation-"));
  model = await trainedModel();
});
afterAll(async () => {
  model[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

const sampler = { kind: "parallel", steps: 4 } as const;
let files = 0;
async function written(options: Partial<GenerateFileOptions> = {}, ending = "h5ad") {
  const out = join(folder, `${files++}.${ending}`);
  const made = await generateFile({ model, out, sampler, ...options });
  using source = await openCells(out);
  const rows = Int32Array.from({ length: source.cellCount }, (_, row) => row);
  const table = await source.metadata({ rows });
  const { offsets, columns, counts } = await source.read(rows);
  return {
    made,
    genes: source.genes.map(({ id }) => id),
    ids: await source.cellIds(rows),
    offsets,
    columns,
    counts,
    totals: Array.from(rows, (row) =>
      counts.subarray(offsets[row], offsets[row + 1]).reduce((a, b) => a + b, 0),
    ),
    types: [...(table.getChild("cell_type") ?? [])].map(String),
    depth: [...(table.getChild("depth") ?? [])].map(Number),
  };
}

describe("generateFile", () => {
  it("writes whole cells of all genes with what they were told, alike in both formats and for any batch", async () => {
    const h5ad = await written({ cells: 30 });
    expect(h5ad.genes).toEqual([...model.vocabulary.entries.slice(3).map(({ token }) => token)]);
    expect(h5ad.ids[29]).toBe("generated-29");
    expect(h5ad.counts.every((count) => Number.isInteger(count) && count > 0)).toBe(true);
    expect(h5ad.made.zeroFraction).toBeCloseTo(1 - h5ad.counts.length / (30 * h5ad.genes.length), 12);
    expect(h5ad.made.meanTotal).toBeCloseTo(h5ad.totals.reduce((a, b) => a + b, 0) / 30, 9);
    const depths = new Set(Array.from(model.depths!.depth, (depth) => Math.round(depth)));
    expect(h5ad.depth.every((depth) => depths.has(depth))).toBe(true);
    expect(new Set(h5ad.types).size).toBeGreaterThan(2);
    const { made: _, ...zarr } = await written({ cells: 30, batch: 7, maxRows: 100 }, "zarr");
    const { made: __, ...whole } = h5ad;
    expect(zarr).toEqual(whole);
  });

  it("makes cells of the conditions and the depth that are asked for", async () => {
    const { types, depth, totals } = await written({
      cells: 60,
      conditions: { cell_type: "type-2" },
      depth: 90,
    });
    expect(new Set(types)).toEqual(new Set(["type-2"]));
    expect(new Set(depth)).toEqual(new Set([90]));
    expect(Math.abs(totals.reduce((a, b) => a + b, 0) / 60 - 90)).toBeLessThan(15);
  });

  it("makes a cell like each of a file's, with its measured genes, total and type", async () => {
    const rows = Int32Array.of(3, 8, 20, 21);
    using like = subsetSource(study, rows);
    const made = await written({ like });
    const { offsets, counts } = await study.read(rows);
    expect(made.depth).toEqual(
      [0, 1, 2, 3].map((i) => counts.subarray(offsets[i], offsets[i + 1]).reduce((a, b) => a + b, 0)),
    );
    const table = await study.metadata({ columns: ["cell_type"], rows });
    expect(made.types).toEqual([...(table.getChild("cell_type") ?? [])].map(String));
    const more = await written({ like, cells: 40 });
    expect(new Set(more.depth)).toEqual(new Set(made.depth));
  });

  it("makes whole cells like those of a file that measures few of the genes, and writes these", async () => {
    const rows = Int32Array.from({ length: 40 }, (_, row) => row);
    const cells = await study.read(rows);
    const dense = Array.from({ length: 40 }, (_, cell) => {
      const row = new Array<number>(40).fill(0);
      for (let i = cells.offsets[cell]!; i < cells.offsets[cell + 1]!; i++)
        row[cells.columns[i]!] = cells.counts[i]!;
      return row;
    });
    const ids = study.genes.map(({ id }) => id).slice(0, 10);
    const table = await study.metadata({ columns: ["cell_type"], rows });
    const types = [...(table.getChild("cell_type") ?? [])].map(String);
    using like = sourceOf({ genes: ids, counts: dense.map((row) => row.slice(0, 10)) }, types);
    const made = await written({ like, cells: 400, evidenceGuidance: 1 });
    expect(made.genes).toEqual(ids);
    // Their own totals, and what is to be expected of the other 30 genes.
    const panel = made.totals.reduce((a, b) => a + b, 0) / 400;
    const whole = made.depth.reduce((a, b) => a + b, 0) / 400;
    const wholes = dense.map((row) => row.reduce((a, b) => a + b, 0));
    const panels = dense.map((row) => row.slice(0, 10).reduce((a, b) => a + b, 0));
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(Math.abs(whole / mean(wholes) - 1)).toBeLessThan(0.15);
    expect(Math.abs(panel / mean(panels) - 1)).toBeLessThan(0.25);
  });

  it("leaves nothing behind where it is stopped or refused", async () => {
    const before = await readdir(folder);
    const controller = new AbortController();
    const out = join(folder, "stopped.h5ad");
    const stopped = generateFile({
      model,
      out,
      cells: 500,
      sampler,
      batch: 10,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    const refused = (options: Partial<GenerateFileOptions>) =>
      expect(generateFile({ model, out, sampler, ...options })).rejects;
    await refused({ conditions: { cell_type: "type-9" } }).toThrow(/CONDITION_LABEL_UNKNOWN/);
    await refused({ out: join(folder, "new.csv") }).toThrow(
      /ARGUMENT_CHOICE.*no \.csv is written.*NAME\.h5ad/,
    );
    await refused({ like: study, depth: 9 }).toThrow(/ARGUMENT_CONFLICT.*depth/);
    await refused({ model: join(folder, "none") }).toThrow(/CHECKPOINT_READ/);
    await refused({ out: join(folder, before[0]!) }).toThrow(/FILE_EXISTS/);
    expect(await readdir(folder)).toEqual(before);
  });
});
