import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DdscError } from "../../../lib/base/errors.js";
import { loadHdf5 } from "../../../lib/data/hdf5/worker/library.js";
import { Hdf5Writer } from "../../../lib/data/hdf5/writer/writer.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { summarise } from "../../../lib/data/report/summary.js";
import { failure, fixture, temporaryFolder } from "../support.js";

describe("each fault has its code and says where", () => {
  it.each([
    ["negative", "DATA_NEGATIVE_COUNT", 'cell "c1" (row 1), gene "Lypla1": -3; counts must be >= 0'],
    ["nan", "DATA_NOT_FINITE", 'cell "c1" (row 1), gene "Lypla1": NaN'],
    ["infinite", "DATA_NOT_FINITE", 'cell "c1" (row 1), gene "Lypla1": Infinity'],
    ["strings", "DATA_TYPE", "/X/data does not hold numbers"],
    ["index_out_of_range", "DATA_CORRUPT", "/X/indices: entry 3 is 5, outside 0 to 4"],
    ["negative_index", "DATA_CORRUPT", "/X/indices: entry 3 is -1"],
    ["indptr_falls", "DATA_CORRUPT", "/X/indptr: falls from 2 to 1"],
    ["indptr_end", "DATA_CORRUPT", "from 0 to 12 but there are 13"],
    ["indptr_short", "DATA_SHAPE", "/X/indptr has 6 entries"],
    ["indices_short", "DATA_CORRUPT", "13 values but 12 indices"],
    ["obs_short", "DATA_SHAPE", "/obs/_index has 5 values but the matrix has 6"],
    ["no_x", "DATA_MISSING_MATRIX", "has no X"],
    ["no_var", "DATA_FORMAT", "holds X, obs and no obs or var"],
    ["no_shape", "DATA_CORRUPT", "/X: has no shape"],
    ["group_for_data", "DATA_CORRUPT", "/X/data: is a group, not a dataset"],
    ["dense_3d", "DATA_SHAPE", "/X has 3 dimensions"],
    ["unknown_encoding", "DATA_FORMAT", '"awkward-array"'],
    ["absurd_shape", "DATA_TOO_LARGE", "1000000000000"],
    ["absurd_array", "DATA_CORRUPT", "claims 17179869176 bytes"],
    ["old_table", "DATA_FORMAT", "before 0.7"],
    ["tenx", "DATA_FORMAT", "it holds matrix"],
  ])("%s", async (name, code, text) => {
    const error = await failure(() => openCells(fixture(`bad_${name}`)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(error.place.file).toBe(fixture(`bad_${name}`));
  });
});

it.each([
  ["external_storage", "/X", "/etc/passwd"],
  ["external_link", "/X", "elsewhere.h5"],
  ["virtual_dataset", "/X", "elsewhere.h5"],
  ["column", "/obs/a", "elsewhere.h5"],
])(
  "data that lie in another file are refused, and the file is not opened (%s)",
  async (name, place, other) => {
    const error = await failure(() => openCells(fixture(`outside_${name}`)));
    expect(error.code).toBe("DATA_UNSUPPORTED");
    expect(error.message).toContain(`outside_${name}.h5ad: ${place}: lies in another file, "`);
    expect(error.message).toContain(`${other}" (an external link`);
  },
);

it("a bad count carries its place as data, too", async () => {
  const error = await failure(() => openCells(fixture("bad_negative")));
  expect(error.place).toEqual({ file: fixture("bad_negative"), row: 1, cell: "c1", gene: "Lypla1" });
});

it("a code beyond the categories is told with its row", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  const writer = await Hdf5Writer.create(path);
  await writer.group("/obs", { _index: "_index", "column-order": ["type"] });
  await writer.group("/obs/type", { ordered: false });
  await writer.dataset("/obs/type/codes", "int8", [2], Int8Array.of(-1, 7));
  await writer.dataset("/obs/type/categories", "string", [2], ["a", "b"]);
  await writer.group("/var", { _index: "_index", "column-order": [] });
  await writer.dataset("/obs/_index", "string", [2], ["c0", "c1"]);
  await writer.dataset("/var/_index", "string", [1], ["Xkr4"]);
  await writer.dataset("/X", "float32", [2, 1], Float32Array.of(1, 2));
  await writer.close();
  using source = await openCells(path);
  for (const rows of [undefined, Int32Array.of(1)]) {
    const error = await failure(() => source.metadata(rows && { rows }));
    expect(error.code).toBe("DATA_CORRUPT");
    expect(error.message).toContain("/obs/type: row 1 has code 7 but there are 2 categories");
  }
  const none = await source.metadata({ rows: Int32Array.of(0) });
  expect([...none.getChild("type")!]).toEqual([null]);
});

it("a truncated file is told from a damaged one", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  const whole = readFileSync(fixture("csr"));
  writeFileSync(path, whole.subarray(0, whole.length - 100));
  expect((await failure(() => openCells(path))).code).toBe("DATA_TRUNCATED");
  writeFileSync(path, Buffer.concat([whole.subarray(0, 8), Buffer.alloc(500, 7)]));
  expect((await failure(() => openCells(path))).code).toBe("DATA_CORRUPT");
});

it("a heap whose free space claims no bytes is an error, not an endless loop", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  const bytes = readFileSync(fixture("layout_07"));
  const heap = bytes.indexOf("GCOL");
  expect(heap).toBeGreaterThan(0);
  // Every object's size becomes 0 from the first object on: walking the heap would stand still at object 0.
  bytes.fill(0, heap + 16, heap + 4096);
  writeFileSync(path, bytes);
  expect((await failure(() => openCells(path))).code).toBe("DATA_CORRUPT");
});

it("a heap whose free space goes in a circle is an error, not gigabytes of memory", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  const bytes = readFileSync(fixture("layout_07"));
  // A local heap: signature and version, size, offset of the first free block, address of the data. A free block begins with
  // the offset of the next one.
  const heap = bytes.indexOf(Buffer.from("HEAP\0\0\0\0", "latin1"));
  expect(heap).toBeGreaterThan(0);
  const free = bytes.readBigUInt64LE(heap + 16);
  const block = Number(bytes.readBigUInt64LE(heap + 24) + free);
  expect(bytes.readBigUInt64LE(block)).not.toBe(free);
  bytes.writeBigUInt64LE(free, block);
  writeFileSync(path, bytes);
  expect((await failure(() => openCells(path))).code).toBe("DATA_CORRUPT");
  const { module } = await loadHdf5();
  expect(module.HEAPU8.length).toBeLessThan(300 * 2 ** 20);
});

it("any file with bytes changed or cut off is read or refused with a DdscError", async () => {
  const path = join(temporaryFolder(), "cells.h5ad");
  const originals = ["csr", "csc", "dense_compressed", "layout_07", "unannotated"].map((name) =>
    readFileSync(fixture(name)),
  );
  const mutation = fc.record({
    original: fc.nat({ max: originals.length - 1 }),
    changes: fc.array(
      fc.record({ at: fc.double({ min: 0, max: 0.9999, noNaN: true }), byte: fc.nat({ max: 255 }) }),
      {
        minLength: 1,
        maxLength: 10,
      },
    ),
    keep: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 1, noNaN: true })),
  });
  await fc.assert(
    fc.asyncProperty(mutation, async ({ original, changes, keep }) => {
      const bytes = Buffer.from(originals[original]!);
      for (const { at, byte } of changes) bytes[Math.floor(at * bytes.length)] = byte;
      writeFileSync(path, bytes.subarray(0, Math.ceil(keep * bytes.length)));
      try {
        using source = await openCells(path);
        await source.metadata();
        await summarise(source);
      } catch (error) {
        expect(error).toBeInstanceOf(DdscError);
      }
    }),
    { numRuns: 300 },
  );
});
