import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Hdf5File } from "../../lib/data/hdf5/file.js";
import { type Hierarchy, numbersAt } from "../../lib/data/hierarchy.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { ZarrFile } from "../../lib/data/zarr/file.js";
import {
  chanceAboveZero,
  denoiseCells,
  embedCells,
  embedFile,
  imputeFile,
  negativeBinomialQuantile,
  stateCoordinates,
} from "../../lib/imputation/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { smallModel } from "../training/small_run.js";
import { python, runPython } from "./python.js";
import { type Few, shuffledCells, sourceOf, trainedModel } from "./support.js";

let folder: string;
let model: Denoiser;
let few: Few;
let source: CellSource;
const CELLS = 8;
const TYPES = Array.from({ length: CELLS }, (_, cell) => `type-${cell % 3}`);
/** By cell and gene of the file. */
type Dense = number[][];
const predicted = { mean: [] as Dense, shape: [] as Dense };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-imputed-"));
  model = await trainedModel();
  few = await shuffledCells(6);
  source = sourceOf(few, TYPES);
  for await (const { offsets, columns, mean, shape, block } of denoiseCells(source, model)) {
    for (const cell of block.rows.keys()) {
      const own = { mean: few.genes.map(() => Number.NaN), shape: few.genes.map(() => Number.NaN) };
      for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++) {
        own.mean[columns[i]!] = mean[i]!;
        own.shape[columns[i]!] = shape[i]!;
      }
      predicted.mean.push(own.mean);
      predicted.shape.push(own.shape);
    }
  }
});
afterAll(async () => {
  model[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

/** A sparse matrix of a file, zeros filled in. */
async function layer(file: string, name?: string): Promise<Dense> {
  using cells = await openCells(file, name === undefined ? {} : { layer: name });
  const { offsets, columns, counts } = await cells.read(
    Int32Array.from({ length: cells.cellCount }, (_, row) => row),
  );
  return Array.from({ length: cells.cellCount }, (_, cell) => {
    const row = few.genes.map(() => 0);
    for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++) row[columns[i]!] = counts[i]!;
    return row;
  });
}

const uns = (file: Hierarchy) => file.members("/uns/ddsc");
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
const isKnown = (gene: string) => gene.startsWith("GENE");
const float32 = (rows: Dense) => rows.map((row) => row.map(Math.fround));

describe("an imputed file", () => {
  it("has counts as they were, and the layers asked for of the genes that the model knows", async () => {
    const out = join(folder, "all.h5ad");
    const seen: number[][] = [];
    const result = await imputeFile({
      model,
      data: source,
      out,
      layers: ["denoised", "p_expressed", "low", "high"],
      least: 0,
      onProgress: (...done) => seen.push(done),
    });
    expect(result).toMatchObject({
      cells: CELLS,
      genes: 42,
      predictedGenes: 40,
      unknownGenes: 2,
      emptyCells: 2,
    });
    expect(seen.at(-1)).toEqual([CELLS, CELLS]);
    expect(await layer(out)).toEqual(few.counts);
    const orElse = (
      valueFrom: (mean: number, shape: number) => number,
      other: (cell: number, column: number) => number,
    ) =>
      predicted.mean.map((row, cell) =>
        row.map((mean, column) =>
          isKnown(few.genes[column]!)
            ? valueFrom(mean, predicted.shape[cell]![column]!)
            : other(cell, column),
        ),
      );
    const none = () => 0;
    expect(await layer(out, "denoised")).toEqual(
      float32(
        orElse(
          (mean) => mean,
          (cell, column) => few.counts[cell]![column]!,
        ),
      ),
    );
    expect(await layer(out, "p_expressed")).toEqual(float32(orElse(chanceAboveZero, none)));
    for (const [name, p] of [
      ["low", 0.05],
      ["high", 0.95],
    ] as const) {
      const quantiles = orElse((mean, shape) => negativeBinomialQuantile(p, mean, shape), none);
      expect(await layer(out, name)).toEqual(quantiles);
    }
    using file = await Hdf5File.open(out);
    expect([...(await numbersAt(await file.array("/var/ddsc_imputed"), undefined))]).toEqual(
      few.genes.map((gene) => Number(isKnown(gene))),
    );
    const said = ["command", "conditions", "data", "folds", "layers", "least", "package", "replace_x"];
    expect(await uns(file)).toEqual(said);
    using copy = await openCells(out);
    expect(copy.metadataColumns).toEqual([{ name: "cell_type", kind: "text" }]);
  });

  it("leaves out small values, other genes and other cells; X may be what is denoised", async () => {
    const out = join(folder, "some.zarr");
    const where = "cell_type = 'type-1'";
    const genes = ["GENE05", "GENE33"];
    const wanted = { model, data: source, where, genes, replaceX: true, least: 0.3 };
    const result = await imputeFile({ ...wanted, out });
    expect(result).toMatchObject({ cells: 3, predictedGenes: 2, layers: ["counts", "p_expressed"] });
    const rows = [1, 4, 7];
    expect(await layer(out, "counts")).toEqual(rows.map((row) => few.counts[row]));
    const kept = (value: number) => (value >= 0.3 ? Math.fround(value) : 0);
    expect(await layer(out)).toEqual(
      rows.map((row) =>
        few.genes.map((gene, column) =>
          genes.includes(gene) ? kept(predicted.mean[row]![column]!) : few.counts[row]![column]!,
        ),
      ),
    );
    const chance = (row: number, column: number) =>
      chanceAboveZero(predicted.mean[row]![column]!, predicted.shape[row]![column]!);
    expect(await layer(out, "p_expressed")).toEqual(
      rows.map((row) =>
        few.genes.map((gene, column) => (genes.includes(gene) ? kept(chance(row, column)) : 0)),
      ),
    );
    using file = await ZarrFile.open(out);
    expect(await file.members("/layers")).toEqual(["counts", "p_expressed"]);
    expect(await uns(file)).toContain("where");
  });

  it("has replicate counts that are drawn by seed, row and column alone, whatever is drawn beside them", async () => {
    const draw = async (name: string, options: object = {}) => {
      const out = join(folder, name);
      await imputeFile({ model, data: source, out, layers: ["replicate"], ...options });
      return layer(out, "replicate");
    };
    const first = await draw("drawn.h5ad", { seed: 5 });
    expect(await draw("again.zarr", { seed: 5, maxRows: 50 })).toEqual(first);
    expect(await draw("other.h5ad", { seed: 6 })).not.toEqual(first);
    const genes = ["GENE05", "GENE33"];
    const some = await draw("one-type.h5ad", { seed: 5, genes, where: "cell_type = 'type-1'" });
    const isWanted = (column: number) => genes.includes(few.genes[column]!);
    expect(some).toEqual(
      [1, 4, 7].map((row) => first[row]!.map((value, column) => (isWanted(column) ? value : 0))),
    );
    expect(first.flat().every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    expect(first.every((row) => few.genes.every((gene, column) => isKnown(gene) || row[column] === 0))).toBe(
      true,
    );
    using file = await Hdf5File.open(join(folder, "drawn.h5ad"));
    expect(await uns(file)).toContain("seed");
  });

  it("is not there after an error, and nothing is replaced unasked", async () => {
    const out = join(folder, "never.h5ad");
    const given = { model, data: source, out };
    await expect(imputeFile({ ...given, genes: ["STRANGE"] })).rejects.toThrow("GENE_UNKNOWN");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(imputeFile({ ...given, signal })).rejects.toThrow("enough");
    await expect(embedFile({ ...given, where: "cell_type = 'none'" })).rejects.toThrow(
      "DATA_NO_CELLS: few cells: there is no cell for which cell_type = 'none'; choose others",
    );
    using ranks = await smallModel();
    await expect(imputeFile({ ...given, model: ranks })).rejects.toThrow("MODEL_CONFIG");
    await expect(imputeFile({ ...given, layers: ["median" as "low"] })).rejects.toThrow("ARGUMENT_CHOICE");
    expect((await readdir(folder)).filter((name) => name.includes("never") && name !== "never.h5ad")).toEqual(
      [],
    );
    await rm(out, { force: true });
    await embedFile({ ...given });
    await expect(imputeFile({ ...given })).rejects.toThrow(/FILE_EXISTS: .*pass overwrite/);
    await imputeFile({ ...given, overwrite: true });
  });
});

describe("an embedded file", () => {
  it.each(["h5ad", "zarr"])("has states, likelihoods and factors beside the counts (%s)", async (ending) => {
    const out = join(folder, `embedded.${ending}`);
    const result = await embedFile({ model, data: source, out, nll: true });
    const width = model.config.counts!.state;
    expect(result).toMatchObject({ cells: CELLS, genes: 42, knownGenes: 40, width });
    const [found] = await all(embedCells(source, model, { nll: true }));
    using file = ending === "zarr" ? await ZarrFile.open(out) : await Hdf5File.open(out);
    const numbers = async (path: string) => [...(await numbersAt(await file.array(path), undefined))];
    const states = (await (await file.array("/obsm/X_ddsc")).numbers(0, CELLS)) as Float32Array;
    expect(states).toEqual((await stateCoordinates(model)).states(found!.state));
    expect(await numbers("/obs/ddsc_nll")).toEqual([...found!.nll!]);
    expect(result.nll).toBeCloseTo([...found!.nll!].reduce((sum, each) => sum + each, 0) / CELLS, 10);
    const factors = await (await file.array("/varm/ddsc_factors")).numbers(0, few.genes.length);
    // Whatever the coordinates: factor . z is the network's own tilt.
    const factor = await model.readParameter("factor.weight", "ema");
    const tilt = (a: Float32Array, i: number, b: Float32Array, j: number) =>
      Array.from({ length: width }, (_, k) => a[i * width + k]! * b[j * width + k]!).reduce(
        (x, y) => x + y,
        0,
      );
    for (const [column, gene] of few.genes.entries()) {
      const id = model.vocabulary.find(gene);
      const own = [...(factors as Float32Array).subarray(column * width, (column + 1) * width)];
      if (id === undefined) expect(own).toEqual(own.map(() => Number.NaN));
      else
        for (let cell = 0; cell < CELLS; cell++)
          expect(tilt(factors as Float32Array, column, states, cell)).toBeCloseTo(
            tilt(factor, id, found!.state, cell),
            4,
          );
    }
    expect(await layer(out)).toEqual(few.counts);
  });

  it("has states whose distance is that of the logs of expected counts, the molecules' mean", async () => {
    const [found] = await all(embedCells(source, model));
    const { states, factors } = await stateCoordinates(model);
    const placed = states(found!.state);
    const width = model.config.counts!.state;
    const { share } = model.base!;
    for (const [a, b] of [
      [0, 1],
      [2, 5],
    ] as const) {
      const step = Array.from({ length: width }, (_, k) => placed[a * width + k]! - placed[b * width + k]!);
      const distance = step.reduce((sum, each) => sum + each ** 2, 0);
      const moved = share.reduce((sum, weight, gene) => {
        const tilt = step.reduce((one, each, k) => one + each * factors[gene * width + k]!, 0);
        return sum + weight * tilt ** 2;
      }, 0);
      expect(moved).toBeGreaterThan(0);
      expect(distance / moved).toBeCloseTo(1, 4);
    }
    const spread = Array.from({ length: width }, (_, k) =>
      share.reduce((sum, weight, gene) => sum + weight * factors[gene * width + k]! ** 2, 0),
    );
    for (const one of spread) expect(one === 0 || Math.abs(one - 1) < 1e-4).toBe(true);
  });

  it("has no likelihoods unless they are asked for, and the states are the same", async () => {
    const out = join(folder, "plain.h5ad");
    const result = await embedFile({ model, data: source, out, maxRows: 7 });
    expect(result).not.toHaveProperty("nll");
    const [found] = await all(embedCells(source, model));
    using file = await Hdf5File.open(out);
    const states = await (await file.array("/obsm/X_ddsc")).numbers(0, CELLS);
    expect(states).toEqual((await stateCoordinates(model)).states(found!.state));
    expect(await file.members("/obs")).not.toContain("ddsc_nll");
  });
});

describe.skipIf(python === undefined)("read by Python's h5py, as AnnData reads it", () => {
  it("layers are sparse matrices of the file's shape, states and factors arrays", async () => {
    const imputed = join(folder, "python.h5ad");
    const embedded = join(folder, "python_embedded.h5ad");
    await imputeFile({ model, data: source, out: imputed, layers: ["denoised", "high"] });
    await embedFile({ model, data: source, out: embedded, nll: true });
    const program = `
import h5py, json, sys
f, e = h5py.File(sys.argv[1]), h5py.File(sys.argv[2])
def dense(g):
    rows, cols = (int(n) for n in g.attrs["shape"])
    out = [[0.0] * cols for _ in range(rows)]
    ptr = g["indptr"][:]
    for r in range(rows):
        for i in range(ptr[r], ptr[r + 1]):
            out[r][g["indices"][i]] = float(g["data"][i])
    return out
print(json.dumps({
    "encoding": f["layers/denoised"].attrs["encoding-type"],
    "types": [str(f["layers/denoised/data"].dtype), str(f["layers/high/data"].dtype), str(e["obsm/X_ddsc"].dtype)],
    "counts": dense(f["X"]), "denoised": dense(f["layers/denoised"]),
    "imputed": [bool(b) for b in f["var/ddsc_imputed"][:]],
    "columns": list(f["var"].attrs["column-order"]),
    "obsm": list(e["obsm/X_ddsc"].shape), "varm": list(e["varm/ddsc_factors"].shape), "nll": len(e["obs/ddsc_nll"]),
    "command": e["uns/ddsc/command"].asstr()[()],
}))`;
    const width = model.config.counts!.state;
    expect(runPython(program, imputed, embedded)).toEqual({
      encoding: "csr_matrix",
      types: ["float32", "int32", "float32"],
      counts: few.counts,
      denoised: await layer(imputed, "denoised"),
      imputed: few.genes.map(isKnown),
      columns: ["ddsc_imputed"],
      obsm: [CELLS, width],
      varm: [42, width],
      nll: CELLS,
      command: "embed",
    });
  });
});
