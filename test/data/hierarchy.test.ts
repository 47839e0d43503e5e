import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Hdf5File } from "../../lib/data/hdf5/file.js";
import { type Hierarchy, lengthOf, numbersAt, stringsAt } from "../../lib/data/hierarchy.js";
import { ZarrFile } from "../../lib/data/zarr/file.js";
import { COUNTS, failure, fixture, SYMBOLS, zarrFixture } from "./support.js";

const FILES: readonly { readonly name: string; open(): Promise<Hierarchy> }[] = [
  { name: "csr.h5ad", open: () => Hdf5File.open(fixture("csr")) },
  ...["v2_csr.zarr", "v3_sharded.zarr", "v3_sharded.zarr.zip"].map((name) => ({
    name,
    open: () => ZarrFile.open(zarrFixture(name)),
  })),
];

describe.each(FILES)("$name", ({ open }) => {
  it("says what lies at a path, and what is in a group", async () => {
    using file = await open();
    expect(await file.kind("/obs")).toBe("group");
    expect(await file.kind("/layers/counts/data")).toBe("array");
    expect(await file.kind("/nothing")).toBe("missing");
    expect((await file.members("/layers/counts")).sort()).toEqual(["data", "indices", "indptr"]);
    expect(await file.isNull("/layers/counts/data")).toBe(false);
  });

  it("gives attributes as text, numbers, booleans and lists; none where there is none", async () => {
    using file = await open();
    expect(await file.attribute("/layers/counts", "encoding-type")).toBe("csr_matrix");
    expect(await file.attribute("/layers/counts", "shape")).toEqual([6, 5]);
    expect(await file.attribute("/obs/cell_type", "ordered")).toBe(false);
    expect(await file.attribute("/obs", "column-order")).toContain("cell_type");
    expect(await file.attribute("/obs", "nothing")).toBeUndefined();
  });

  it("gives the shapes and kinds of arrays", async () => {
    using file = await open();
    const data = await file.array("/layers/counts/data");
    const stored = COUNTS.flat().filter((count) => count > 0).length;
    expect(data).toMatchObject({ path: "/layers/counts/data", shape: [stored] });
    expect(["integer", "float"]).toContain(data.kind);
    expect(lengthOf(file, data)).toBe(stored);
    expect((await file.array("/var/_index")).kind).toBe("string");
    expect((await file.array("/obs/doublet")).kind).toBe("boolean");
    expect((await file.array("/obs/score")).kind).toBe("float");
  });

  it("gives ranges of numbers and of text, and any of them in any order", async () => {
    using file = await open();
    const symbols = await file.array("/var/_index");
    expect(await symbols.strings(1, 4)).toEqual(SYMBOLS.slice(1, 4));
    expect(await stringsAt(symbols, undefined)).toEqual(SYMBOLS);
    const data = await file.array("/layers/counts/data");
    const all = [...(await numbersAt(data, undefined))];
    expect([...(await data.numbers(2, 5))]).toEqual(all.slice(2, 5));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 4 }), { maxLength: 9 }), async (rows) => {
        const places = Int32Array.from(rows);
        expect(await stringsAt(symbols, places)).toEqual(rows.map((row) => SYMBOLS[row]));
        expect([...(await numbersAt(data, places))]).toEqual(rows.map((row) => all[row]));
      }),
      { numRuns: 40 },
    );
  });

  it("refuses what is not there, is of another kind or lies outside, naming it", async () => {
    using file = await open();
    const symbols = await file.array("/var/_index");
    const data = await file.array("/layers/counts/data");
    for (const [place, action] of [
      ["/nothing: is missing", () => file.array("/nothing")],
      ["/obs: is a group", () => file.array("/obs")],
      ["/layers/counts/data", () => data.strings(0, 1)],
      ["/layers/counts/data", () => data.numbers(0, 1000)],
      ["/var/_index", () => symbols.strings(3, 6)],
      ["/var/_index", () => symbols.strings(-1, 2)],
    ] as const) {
      const error = await failure(action);
      expect(error.code).toBe("DATA_CORRUPT");
      expect(error.message).toContain(place);
      expect(error.place.file).toBe(file.path);
    }
  });
});
