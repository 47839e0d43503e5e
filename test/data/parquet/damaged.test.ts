import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openParquet } from "../../../lib/data/parquet/parquet.js";
import { ThriftWriter } from "../../../lib/data/parquet/thrift_write.js";
import { memoryFile, tahoeFolder } from "../support.js";

/** A Parquet file of one required column of 32-bit numbers that says of itself what it is told to. */
function claiming(claims: {
  rows?: number;
  groupRows?: number;
  values?: number;
  offset?: number;
  bytes?: number;
  leaves?: number;
}): Uint8Array {
  const { rows = 1, groupRows = rows, values = rows, offset = 4, bytes = 4, leaves = 1 } = claims;
  const writer = new ThriftWriter();
  writer.i32(1, 2);
  writer.structs(2, ["schema", "g"], (name) => {
    if (name === "g") {
      writer.i32(1, 1);
      writer.i32(3, 0);
    }
    writer.text(4, name);
    if (name === "schema") writer.i32(5, leaves);
  });
  writer.i64(3, rows);
  writer.structs(4, [0], () => {
    writer.structs(1, [0], () => {
      writer.i64(2, 0);
      writer.struct(3, () => {
        writer.i32(1, 1);
        writer.i32(4, 0);
        writer.i64(5, values);
        writer.i64(7, bytes);
        writer.i64(9, offset);
      });
    });
    writer.i64(3, groupRows);
  });
  writer.end();
  const footer = writer.bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(8), footer, length, Buffer.from("PAR1")]);
}

describe("a Parquet file", () => {
  it.each([
    ["2^50 rows", claiming({ rows: 2 ** 50 }), "DATA_TOO_LARGE"],
    ["a column of terabytes", claiming({ bytes: 2 ** 43 }), "DATA_CORRUPT"],
    ["a column far behind its end", claiming({ offset: 2 ** 43 }), "DATA_CORRUPT"],
    ["row groups of more rows than it has", claiming({ groupRows: 7 }), "DATA_CORRUPT"],
    ["a schema of a billion columns", claiming({ leaves: 2 ** 30 }), "DATA_CORRUPT"],
  ] as const)("that claims %s is refused", async (_, bytes, code) => {
    await expect(openParquet(memoryFile(bytes), {})).rejects.toMatchObject({ code });
  });

  it("whose page claims 2^31 values is refused when it is read", async () => {
    const header = new ThriftWriter();
    header.i32(1, 0);
    header.i32(2, 4);
    header.i32(3, 4);
    header.struct(5, () => {
      header.i32(1, 0x7fff_ffff);
      header.i32(2, 0);
      header.i32(3, 3);
      header.i32(4, 3);
    });
    header.end();
    const page = Buffer.concat([header.bytes, Buffer.alloc(4)]);
    const whole = claiming({ rows: 0x7fff_ffff, bytes: page.length });
    const bytes = Buffer.concat([whole.subarray(0, 4), page, whole.subarray(4)]);
    using source = await openParquet(memoryFile(bytes), {});
    expect(source.cellCount).toBe(0x7fff_ffff);
    await expect(source.read(Int32Array.of(0))).rejects.toMatchObject({ code: "DATA_TOO_LARGE" });
  });

  it("cut off anywhere is refused", async () => {
    const whole = readFileSync(`${tahoeFolder}snappy.parquet`);
    for (let length = 0; length < whole.length; length += 97) {
      const opening = openParquet(memoryFile(whole.subarray(0, length)), {});
      await expect(opening, `at ${length}`).rejects.toMatchObject({ code: "DATA_TRUNCATED" });
    }
  });

  it("without a table of genes for its tokens is refused, with what to do", async () => {
    const file = {
      ...memoryFile(readFileSync(`${tahoeFolder}snappy.parquet`)),
      name: "/nowhere/at/all/cells.parquet",
    };
    await expect(openParquet(file, {})).rejects.toMatchObject({
      code: "DATA_MISSING_GENES",
      message: expect.stringContaining("geneTable"),
    });
  });
});
