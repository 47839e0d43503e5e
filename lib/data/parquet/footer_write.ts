import { type EncodedColumn, SNAPPY } from "./encode.js";
import { MAGIC, Physical } from "./format.js";
import { ThriftWriter } from "./thrift_write.js";

/** A column to be written: a leaf of the schema. Everything may be missing. */
export interface WrittenLeaf {
  readonly path: readonly string[];
  /** Parquet's number of the physical type. */
  readonly physical: number;
  /** Whether it holds the elements of a list: `path` is then of the form name, list, element. */
  readonly list: boolean;
}

/** A row group that was written. */
export interface WrittenGroup {
  readonly rows: number;
  readonly columns: readonly (Omit<EncodedColumn, "bytes"> & {
    readonly offset: number;
    readonly bytes: number;
  })[];
}

const OPTIONAL = 1;
const REPEATED = 2;
const UTF8 = 0;
const LIST = 3;

/** The footer of `rows` rows in `groups`, whose pages are compressed by `codec`, its length and the mark at the end. */
export function encodeFooter(
  leaves: readonly WrittenLeaf[],
  rows: number,
  groups: readonly WrittenGroup[],
  codec = SNAPPY,
): Uint8Array {
  const writer = new ThriftWriter();
  writer.i32(1, 2);
  const elements = leaves.flatMap(schemaElements);
  writer.structs(
    2,
    [
      {
        name: "schema",
        children: leaves.length,
        repetition: undefined,
        physical: undefined,
        converted: undefined,
      },
      ...elements,
    ],
    (element) => {
      if (element.physical !== undefined) writer.i32(1, element.physical);
      if (element.repetition !== undefined) writer.i32(3, element.repetition);
      writer.text(4, element.name);
      if (element.children !== undefined) writer.i32(5, element.children);
      if (element.converted !== undefined) writer.i32(6, element.converted);
    },
  );
  writer.i64(3, rows);
  writer.structs(4, groups, (group) => {
    writer.structs(
      1,
      leaves.map((leaf, i) => ({ leaf, column: group.columns[i] })),
      ({ leaf, column }) => {
        const offset = column?.offset ?? 0;
        writer.i64(2, 0);
        writer.struct(3, () => {
          writer.i32(1, leaf.physical);
          writer.numbers(2, column?.encodings ?? []);
          writer.texts(3, leaf.path);
          writer.i32(4, codec);
          writer.i64(5, column?.values ?? 0);
          writer.i64(6, column?.uncompressedBytes ?? 0);
          writer.i64(7, column?.bytes ?? 0);
          writer.i64(9, offset + (column?.dataOffset ?? 0));
          if ((column?.dataOffset ?? 0) > 0) writer.i64(11, offset);
        });
      },
    );
    writer.i64(
      2,
      group.columns.reduce((sum, { uncompressedBytes }) => sum + uncompressedBytes, 0),
    );
    writer.i64(3, group.rows);
  });
  writer.text(6, "ddsc");
  writer.end();
  const { bytes } = writer;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([bytes, length, MAGIC]);
}

interface SchemaElement {
  readonly name: string;
  readonly physical: number | undefined;
  readonly repetition: number | undefined;
  readonly children: number | undefined;
  readonly converted: number | undefined;
}

function schemaElements({ path, physical, list }: WrittenLeaf): SchemaElement[] {
  const [name = ""] = path;
  const leaf = { physical, children: undefined, repetition: OPTIONAL };
  if (!list) return [{ ...leaf, name, converted: physical === Physical.byteArray ? UTF8 : undefined }];
  const group = { physical: undefined, children: 1 };
  return [
    { ...group, name, repetition: OPTIONAL, converted: LIST },
    { ...group, name: "list", repetition: REPEATED, converted: undefined },
    { ...leaf, name: "element", converted: undefined },
  ];
}
