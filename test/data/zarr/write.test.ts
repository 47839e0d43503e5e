import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeAnnData } from "../../../lib/data/anndata/write.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { ZarrFile } from "../../../lib/data/zarr/file.js";
import { writeZarr } from "../../../lib/data/zarr/write.js";
import { denseAll, failure, temporaryFolder } from "../support.js";

const one = (name: string, value: number) => ({
  obs: { index: ["cell"], indexName: "_index", columns: new Map() },
  var: { index: [name], indexName: "_index", columns: new Map() },
  matrices: { X: { kind: "dense", type: "float32" } } as const,
  rows: [{ X: Float32Array.of(value) }],
});

it("a store has the documents of zarr's specification, those of all nodes together, too, in ASCII", async () => {
  const path = join(temporaryFolder(), "store.zarr");
  await writeZarr(path, async (writer) => {
    await writer.group("/", { kind: "ünï" });
    await writer.dataset("/deep/numbers", "float32", [3], Float32Array.of(1, 2, 3), { note: "a" });
    await writer.dataset("/deep/flags", "boolean", [2], Uint8Array.of(1, 0));
    await writer.dataset("/deep/texts", "string", [2], ["é", ""]);
    await writer.dataset("/deep/text", "string", [], ["𝒳y"]);
    await writer.dataset("/deep/number", "int64", [], BigInt64Array.of(7n));
    await writer.group("/deep", { late: [1, 2] });
  });
  const json = (name: string) => {
    const text = readFileSync(join(path, name), "latin1");
    expect(text).toMatch(/^[\n -~]*$/);
    return JSON.parse(text);
  };
  const common = {
    zarr_format: 2,
    order: "C",
    compressor: { id: "zlib", level: 4 },
    dimension_separator: ".",
  };
  const documents: Record<string, unknown> = {
    ".zgroup": { zarr_format: 2 },
    ".zattrs": { kind: "ünï" },
    "deep/.zgroup": { zarr_format: 2 },
    "deep/.zattrs": { late: [1, 2] },
    "deep/numbers/.zarray": {
      ...common,
      shape: [3],
      chunks: [3],
      dtype: "<f4",
      fill_value: 0,
      filters: [{ id: "shuffle", elementsize: 4 }],
    },
    "deep/numbers/.zattrs": { note: "a" },
    "deep/flags/.zarray": {
      ...common,
      shape: [2],
      chunks: [2],
      dtype: "|b1",
      fill_value: false,
      filters: null,
    },
    "deep/texts/.zarray": {
      ...common,
      shape: [2],
      chunks: [2],
      dtype: "|O",
      fill_value: "",
      filters: [{ id: "vlen-utf8" }],
    },
    "deep/text/.zarray": { ...common, shape: [], chunks: [], dtype: "<U2", fill_value: "", filters: null },
    "deep/number/.zarray": {
      ...common,
      shape: [],
      chunks: [],
      dtype: "<i8",
      fill_value: 0,
      filters: [{ id: "shuffle", elementsize: 8 }],
    },
  };
  for (const [name, document] of Object.entries(documents)) expect(json(name)).toEqual(document);
  expect(json(".zmetadata")).toEqual({ zarr_consolidated_format: 1, metadata: documents });
  using file = await ZarrFile.open(path);
  expect([...(await (await file.array("/deep/numbers")).numbers(0, 3))]).toEqual([1, 2, 3]);
  expect(await (await file.array("/deep/texts")).strings(0, 2)).toEqual(["é", ""]);
});

it("texts are in chunks, which a reader need not decode whole", async () => {
  const path = join(temporaryFolder(), "texts.zarr");
  const texts = Array.from({ length: 70_000 }, (_, i) => `text ${i}`);
  await writeZarr(path, (writer) => writer.dataset("/texts", "string", [texts.length], texts));
  using file = await ZarrFile.open(path);
  const array = await file.array("/texts");
  expect(array.chunkShape).toEqual([65_536]);
  expect(await array.strings(65_534, 65_538)).toEqual(texts.slice(65_534, 65_538));
});

it("a store takes the place of another, also behind a link, and leaves nothing else", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "cells.zarr");
  await writeAnnData(path, one("before", 1));
  writeFileSync(join(path, "stray"), "");
  await writeAnnData(`${path}/`, one("after", 2));
  symlinkSync(path, join(folder, "link.zarr"));
  await writeAnnData(join(folder, "link.zarr"), one("linked", 3));
  using cells = await openCells(path);
  expect(cells.genes.map(({ id }) => id)).toEqual(["linked"]);
  expect(await denseAll(cells)).toEqual([[3]]);
  expect(readdirSync(folder).sort()).toEqual(["cells.zarr", "link.zarr"]);
  expect(readdirSync(path)).not.toContain("stray");
});

it("a store that cannot be finished leaves the one before", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "cells.zarr");
  await writeAnnData(path, one("before", 1));
  const error = await failure(() => writeAnnData(path, { ...one("after", 2), rows: [] }));
  expect(error.code).toBe("DATA_SHAPE");
  using cells = await openCells(path);
  expect(await denseAll(cells)).toEqual([[1]]);
  expect(readdirSync(folder)).toEqual(["cells.zarr"]);
});

it("what is no store is not replaced", async () => {
  const folder = temporaryFolder();
  const full = join(folder, "full.zarr");
  mkdirSync(full);
  writeFileSync(join(full, "thesis.txt"), "");
  const file = join(folder, "file.zarr");
  writeFileSync(file, "");
  for (const path of [full, file]) {
    const error = await failure(() => writeAnnData(path, one("gene", 1)));
    expect(error.code).toBe("FILE_EXISTS");
  }
  expect(readdirSync(full)).toEqual(["thesis.txt"]);
  const empty = join(folder, "empty.zarr");
  mkdirSync(empty);
  await writeAnnData(empty, one("gene", 1));
  expect(readdirSync(empty)).toContain(".zgroup");
  const nowhere = await failure(() => writeAnnData(join(folder, "none", "x.zarr"), one("gene", 1)));
  expect(nowhere.code).toBe("FILE_WRITE");
  expect(nowhere.message).toContain("the folder does not exist");
});

it.each([".zattrs", "a\\b"])(
  "a column cannot be called %s, which a store has a use of its own for",
  async (name) => {
    const folder = temporaryFolder();
    const contents = one("gene", 1);
    const columns = new Map([[name, { kind: "numbers", values: Float64Array.of(4) } as const]]);
    const written = () =>
      writeAnnData(join(folder, "x.zarr"), { ...contents, obs: { ...contents.obs, columns } });
    expect((await failure(written)).code).toBe("ARGUMENT_NAME");
    expect(readdirSync(folder)).toEqual([]);
  },
);
