import { readFileSync } from "node:fs";
import {
  Bool,
  Dictionary,
  Field,
  Float64,
  Int32,
  List,
  makeData,
  makeVector,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
  Utf8,
  Utf8View,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { openArrow } from "../../../lib/data/arrow/arrow.js";
import type { CellSource } from "../../../lib/data/sources/source.js";
import { memoryFile, tahoeFolder } from "../support.js";

const expected = JSON.parse(readFileSync(`${tahoeFolder}expected.json`, "utf8")) as {
  cells: [number, number][][];
  ids: string[];
  drug: (string | null)[];
  dose: (number | null)[];
  control: boolean[];
};

async function cellsOf(source: CellSource, rows: Int32Array): Promise<[number, number][][]> {
  const { offsets, columns, counts } = await source.read(rows);
  return Array.from(rows, (_, i) =>
    Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, k) => [
      columns[offsets[i]! + k]!,
      counts[offsets[i]! + k]!,
    ]),
  );
}

async function valuesOf(source: CellSource, column: string, rows?: Int32Array): Promise<unknown[]> {
  const table = await source.metadata({ columns: [column], ...(rows === undefined ? {} : { rows }) });
  return [...table.getChild(column)!];
}

/** Lists of one number each. */
function lists(values: Int32Array | BigInt64Array | Float32Array): Vector<List> {
  const [child] = makeVector(values).data;
  const valueOffsets = Int32Array.from({ length: values.length + 1 }, (_, i) => i);
  const type = new List(new Field("item", child!.type, true));
  return new Vector([makeData({ type, length: values.length, valueOffsets, child: child! })]);
}

// Of a file apache-arrow writes the schema into the footer alone, pyarrow in front of the batches as well.
describe.each(["file", "stream"] as const)("a %s that apache-arrow writes", (format) => {
  it.each(["stream", "coded", "large"])("from %s.arrow gives the same cells and metadata", async (name) => {
    const original = readFileSync(`${tahoeFolder}${name}.arrow`);
    const bytes = tableToIPC(tableFromIPC(original), format);
    using source = await openArrow(memoryFile(bytes), {});
    const all = Int32Array.from(expected.cells.keys());
    expect(await cellsOf(source, all)).toEqual(expected.cells);
    expect(await source.cellIds(all)).toEqual(expected.ids);
    expect(await valuesOf(source, "drug")).toEqual(expected.drug);
    expect(await valuesOf(source, "dose")).toEqual(expected.dose);
    expect(await valuesOf(source, "control")).toEqual(expected.control);
    expect(source.notes).toEqual([]);
  });

  it("with texts as views gives them", async () => {
    const texts = [
      "short",
      null,
      "a text of more than twelve bytes, ä",
      "",
      "another that is longer than twelve",
    ];
    const table = new Table({
      genes: lists(BigInt64Array.of(3n, 4n, 5n, 6n, 7n)),
      expressions: lists(Float32Array.of(1, 2, 3, 4, 5)),
      text: vectorFromArray(texts, new Utf8View()),
    });
    using source = await openArrow(memoryFile(tableToIPC(table, format)), {});
    expect(await valuesOf(source, "text")).toEqual(texts);
    expect(await valuesOf(source, "text", Int32Array.of(4, 1, 2))).toEqual([texts[4], null, texts[2]]);
  });
});

describe("a batch of more rows than are read at once", () => {
  const count = 70_006;
  const rows = Int32Array.from({ length: count }, (_, row) => row);
  const table = new Table({
    genes: lists(BigInt64Array.from(rows, (row) => BigInt(3 + (row % 40)))),
    expressions: lists(Float32Array.from(rows, (row) => 1 + (row % 7))),
    cell_id: vectorFromArray(
      Array.from(rows, (row) => `cell ${row}`),
      new Utf8(),
    ),
    control: vectorFromArray(
      Array.from(rows, (row) => (row % 11 === 0 ? null : row % 3 === 0)),
      new Bool(),
    ),
    dose: vectorFromArray(
      Array.from(rows, (row) => (row % 5 === 0 ? null : row / 4)),
      new Float64(),
    ),
  });
  const bytes = tableToIPC(table, "file");

  it("is read in parts, that begin within a byte of bits as well", async () => {
    using source = await openArrow(memoryFile(bytes), {});
    expect([...source.partBounds]).toEqual([0, 35_003, count]);
    const some = Int32Array.of(35_002, 35_003, 35_004, 35_010, 35_011, 70_005, 0);
    expect(await cellsOf(source, some)).toEqual(Array.from(some, (row) => [[row % 40, 1 + (row % 7)]]));
    expect(await source.cellIds(some)).toEqual(Array.from(some, (row) => `cell ${row}`));
    expect(await valuesOf(source, "control", some)).toEqual(
      Array.from(some, (row) => (row % 11 === 0 ? null : row % 3 === 0)),
    );
    expect(await valuesOf(source, "dose", some)).toEqual(
      Array.from(some, (row) => (row % 5 === 0 ? null : row / 4)),
    );
  });

  it("is not read before rows are asked for, and then only what holds them", async () => {
    let read = 0;
    using source = await openArrow(
      memoryFile(bytes, (length) => {
        read += length;
      }),
      {},
    );
    expect(read).toBeLessThan(20_000);
    read = 0;
    await source.read(Int32Array.of(35_003));
    // Of 70,006 rows half, of five columns the two of lists: 20 bytes a row.
    expect(read).toBeLessThan(20 * 35_003 + 10_000);
  });
});

describe("a dictionary", () => {
  /** Two batches of two rows, the second with a dictionary of its own under the same number. */
  function batches(second: readonly string[]): RecordBatch[] {
    const type = new Dictionary(new Utf8(), new Int32(), 7);
    const coded = (labels: readonly string[], data: Int32Array) =>
      makeData({ type, length: 2, data, dictionary: vectorFromArray([...labels], new Utf8()) });
    const tokens = lists(BigInt64Array.of(3n, 4n)).data[0]!;
    const counts = lists(Float32Array.of(1, 2)).data[0]!;
    const schema = new Schema([
      new Field("genes", tokens.type, true),
      new Field("expressions", counts.type, true),
      new Field("drug", type, true),
    ]);
    return [coded(["a", "b"], Int32Array.of(0, 1)), coded(second, Int32Array.of(1, 0))].map((drug) => {
      const children = [tokens, counts, drug];
      return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: 2, children }));
    });
  }

  it("that a stream replaces counts from its place on", async () => {
    const bytes = tableToIPC(new Table(batches(["c", "d"])), "stream");
    using source = await openArrow(memoryFile(bytes), {});
    expect(await valuesOf(source, "drug")).toEqual(["a", "b", "d", "c"]);
  });
});

it("columns of a type that is not read are passed over, those without a name are not", async () => {
  const nested = new List(new Field("item", new List(new Field("item", new Utf8(), true)), true));
  const table = new Table({
    genes: lists(BigInt64Array.of(3n, 4n)),
    expressions: lists(Int32Array.of(1, 2)),
    nested: vectorFromArray([[["x"]], [["y", "z"], []]], nested),
    wide: makeVector(BigInt64Array.of(-5n, 2n ** 40n)),
    kept: vectorFromArray(["p", "q"], new Utf8()),
    // An empty name is not written at all.
    "": vectorFromArray(["r", "s"], new Utf8()),
  });
  using source = await openArrow(memoryFile(tableToIPC(table, "stream")), {});
  expect(source.metadataColumns.map(({ name }) => name)).toEqual(["wide", "kept", ""]);
  expect(await valuesOf(source, "kept")).toEqual(["p", "q"]);
  expect(await valuesOf(source, "wide")).toEqual([-5, 2 ** 40]);
});
