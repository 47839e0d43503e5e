import { join } from "node:path";
import { expect, it } from "vitest";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import { Hdf5Writer } from "../../../lib/data/hdf5/writer/writer.js";
import { numbersAt, stringsAt } from "../../../lib/data/hierarchy.js";
import { temporaryFolder } from "../support.js";

/** The reasons for a writer of our own (lib/data/hdf5/writer/README.md): where one of these fails, h5wasm may do. */
it("h5wasm writes no enumerations, which AnnData's booleans are, and compresses no text", async () => {
  const { File, ready } = await import("h5wasm/node");
  const module = await ready;
  const file = new File(join(temporaryFolder(), "h5wasm.h5"), "w");
  try {
    const text = { name: "text", data: ["a", "b"], chunks: [2], compression: "gzip" as const };
    expect(() => file.create_dataset(text)).toThrow("cannot specify compression with VLEN data");
    expect(() => file.create_dataset({ name: "booleans", data: [true, false] as never })).toThrow(
      "unguessable type",
    );
    const booleans = {
      type: module.H5T_class_t.H5T_ENUM.value,
      size: 1,
      signed: true,
      vlen: false,
      littleEndian: true,
      total_size: 2,
      shape: [2n],
      maxshape: [2n],
      chunks: null,
      enum_type: { type: 0, nmembers: 2, members: { FALSE: 0, TRUE: 1 } },
    };
    const values = module._malloc(2);
    try {
      expect(() => module.create_dataset(file.file_id, "/booleans", BigInt(values), booleans)).toThrow(
        "data type not supported",
      );
    } finally {
      module._free(values);
    }
  } finally {
    file.close();
  }
});

it("thousands of chunks and of names are found again", async () => {
  const path = join(temporaryFolder(), "many.h5");
  const writer = await Hdf5Writer.create(path);
  // 70 chunks and more need a second level of the tree that finds them.
  const numbers = Float64Array.from({ length: 3_000_000 }, (_, i) => i % 1009);
  const strings = Array.from({ length: 5000 }, (_, i) =>
    i === 7 ? "" : `célula ${i} ${"x".repeat(i === 9 ? 40_000 : i % 50)}`,
  );
  await writer.dataset("/deep/numbers", "float64", [numbers.length], numbers);
  await writer.dataset("/deep/strings", "string", [strings.length], strings, { note: "ünï" });
  await writer.close();
  using file = await Hdf5File.open(path);
  const array = await file.array("/deep/numbers");
  const found = (await numbersAt(array, undefined)) as Float64Array;
  expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(numbers.buffer))).toBe(0);
  expect((await stringsAt(await file.array("/deep/strings"), undefined)).join("|")).toBe(strings.join("|"));
  expect(await file.attribute("/deep/strings", "note")).toBe("ünï");
  expect(array.shape[0]! / array.chunkShape![0]!).toBeGreaterThan(64);
  expect([...((await array.numbers(2_999_998, 3_000_000)) as Float64Array)]).toEqual([
    2_999_998 % 1009,
    2_999_999 % 1009,
  ]);
});
