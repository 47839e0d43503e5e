import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { Hdf5File } from "../../lib/data/hdf5/file.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import { rowsWhere } from "../../lib/data/select/where.js";
import { framesOf } from "../../lib/data/sources/frames.js";
import { countsIn, ddsc, trainRanks } from "./program.js";

const [CELLS, GENES] = [60, 24];

let folder: string;
let data: string;
let run: string;

beforeAll(async () => {
  ({ folder, data, run } = await trainRanks());
});
afterAll(() => rm(folder, { recursive: true }));

describe("ddsc impute", () => {
  it("keeps counts as they were and says beside them what genes without one are expected to have", async () => {
    const out = join(folder, "filled.h5ad");
    const { code, json } = await ddsc("impute", "--model", run, "--data", data, "--out", out, "--json");
    expect(code).toBe(0);
    const before = await countsIn(data);
    expect(json()).toMatchObject({ cells: CELLS, entries: CELLS * GENES - before.counts.length });
    expect(await countsIn(out)).toEqual(before);
    using file = await Hdf5File.open(out);
    expect(await file.attribute("/X", "encoding-type")).toBe("csr_matrix");
    expect(await file.members("/layers")).toEqual(["expected_rank", "imputed", "rank", "rank_probability"]);
    const layer = async (name: string) => (await file.array(`/layers/${name}`)).numbers(0, CELLS);
    const [imputed, ranks] = [await layer("imputed"), await layer("rank")];
    const [expected, probability] = [await layer("expected_rank"), await layer("rank_probability")];
    for (let cell = 0; cell < CELLS; cell++) {
      const [start, end] = [before.offsets[cell]!, before.offsets[cell + 1]!];
      const counted = new Map(
        Array.from(before.columns.subarray(start, end), (gene, i) => [gene, before.counts[start + i]!]),
      );
      const [lowest, highest] = [Math.min(...counted.values()), Math.max(...counted.values())];
      for (let gene = 0; gene < GENES; gene++) {
        const entry = cell * GENES + gene;
        expect(ranks[entry]).toBeGreaterThanOrEqual(0);
        const count = counted.get(gene);
        if (count === undefined) {
          expect(imputed[entry]).toBeGreaterThanOrEqual(lowest);
          expect(imputed[entry]).toBeLessThanOrEqual(highest);
          expect(probability[entry]).toBeGreaterThan(0);
          expect(expected[entry]).toBeGreaterThanOrEqual(0);
        } else {
          expect(imputed[entry]).toBe(count);
          expect([expected[entry], probability[entry]]).toEqual([Number.NaN, Number.NaN]);
        }
      }
    }
    using source = await openCells(data);
    using written = await openCells(out);
    expect((await framesOf(written)).obs).toEqual((await framesOf(source)).obs);
    // X is raw counts still.
    const words = ["--data", out, "--mask-fraction", "0.5", "--out", join(folder, "twice.h5ad")];
    const again = await ddsc("impute", "--model", run, ...words);
    expect(again.code).toBe(0);
    expect(again.stderr).toContain(
      "not in the output: layers (expected_rank, imputed, rank, rank_probability), uns (ddsc)",
    );
  });

  it("fills in cells for which a condition holds alone, into a zarr store", async () => {
    const out = join(folder, "some.zarr");
    const where = ["--where", "cell_type = 'type-0'"];
    const { code, json } = await ddsc(
      "impute",
      ...["--model", run, "--data", data, "--out", out, "--genes", "GENE03", ...where, "--json"],
    );
    expect(code).toBe(0);
    using all = await openCells(data);
    const rows = await rowsWhere(all, "cell_type = 'type-0'");
    expect(rows.length).toBeLessThan(CELLS);
    expect(json()).toMatchObject({ cells: rows.length });
    const chosen = await all.read(rows);
    const written = await countsIn(out);
    expect([...written.counts]).toEqual([...chosen.counts]);
    expect([...written.columns]).toEqual([...chosen.columns]);
    const imputed = await countsIn(out, "imputed");
    const genes = Array.from(rows, (_, cell) => [
      ...imputed.columns.subarray(imputed.offsets[cell], imputed.offsets[cell + 1]),
    ]);
    expect(genes.every((own) => own.includes(3))).toBe(true);
    const none = ["--out", join(folder, "none.h5ad"), "--where", "cell_type = 'type-7'"];
    expect((await ddsc("impute", "--model", run, "--data", data, ...none)).stderr).toContain(
      "ddsc: DATA_NO_CELLS: ",
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
      const [before, after] = [await countsIn(some), await countsIn(out, "imputed")];
      expect([...after.offsets]).toEqual([0, 24, 48, 72]);
      expect([...after.counts.subarray(0, 24)]).toEqual([...before.counts.subarray(0, 24)]);
    }
    const out = join(folder, "untouched.h5ad");
    const words = ["--model", run, "--data", some, "--out", out, "--genes", "GENE05"];
    const { code, stdout, json } = await ddsc("impute", ...words, "--json");
    expect(code).toBe(0);
    expect(stdout).toContain("untouched.h5ad: 3 cells as they are; there was nothing to fill in");
    expect(json()).toMatchObject({ cells: 3, entries: 0 });
    expect([...(await countsIn(out)).counts]).toEqual([...(await countsIn(some)).counts]);
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
