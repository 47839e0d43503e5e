import { ThriftError, ThriftReader } from "./thrift.js";

/** A page as its header describes it. */
export interface ParquetPage {
  readonly kind: "dictionary" | "data" | "dataV2" | "other";
  /** Length of the header, bytes: the body follows it. */
  readonly headerBytes: number;
  readonly compressedBytes: number;
  readonly uncompressedBytes: number;
  /** Values, missing ones included. */
  readonly values: number;
  /** Parquet's number of the encoding. */
  readonly encoding: number;
  /** Rows, where the header says so (version 2). */
  readonly rows: number | undefined;
  readonly definitionBytes: number;
  readonly repetitionBytes: number;
  readonly compressed: boolean;
  /** CRC-32 of the body, where the header has one. */
  readonly checksum: number | undefined;
}

const RUN_LENGTH = 3;
const KINDS = ["data", "other", "dictionary", "dataV2"] as const;

/** Reads the header that begins at `at`. Throws `ThriftError`, with `ended` where more bytes are needed. */
export function parsePageHeader(bytes: Uint8Array, at: number): ParquetPage {
  const reader = new ThriftReader(bytes, at);
  let kind = -1;
  const page = {
    compressedBytes: -1,
    uncompressedBytes: -1,
    values: 0,
    encoding: 0,
    rows: undefined as number | undefined,
    definitionBytes: 0,
    repetitionBytes: 0,
    compressed: true,
    checksum: undefined as number | undefined,
  };
  reader.struct((id, type) => {
    if (id === 1) kind = reader.i32();
    else if (id === 2) page.uncompressedBytes = reader.i32();
    else if (id === 3) page.compressedBytes = reader.i32();
    else if (id === 4) page.checksum = reader.i32() >>> 0;
    else if (id === 5) readDataHeader(reader, page);
    else if (id === 7) readDictionaryHeader(reader, page);
    else if (id === 8) readDataV2Header(reader, page);
    else reader.skip(type);
  });
  if (page.compressedBytes < 0 || page.uncompressedBytes < 0 || page.values < 0 || page.encoding < 0)
    throw new ThriftError("a page has no size");
  if (page.definitionBytes < 0 || page.repetitionBytes < 0)
    throw new ThriftError("a page's levels have no size");
  return { ...page, kind: KINDS[kind] ?? "other", headerBytes: reader.position - at };
}

function readDataHeader(reader: ThriftReader, page: { values: number; encoding: number }): void {
  reader.struct((id, type) => {
    if (id === 1) page.values = reader.i32();
    else if (id === 2) page.encoding = reader.i32();
    else if (id === 3 || id === 4) {
      if (reader.i32() !== RUN_LENGTH) throw new ThriftError("levels are coded in a way given up in 2013");
    } else reader.skip(type);
  });
}

function readDictionaryHeader(reader: ThriftReader, page: { values: number }): void {
  reader.struct((id, type) => {
    if (id === 1) page.values = reader.i32();
    else reader.skip(type);
  });
}

function readDataV2Header(
  reader: ThriftReader,
  page: {
    values: number;
    encoding: number;
    rows: number | undefined;
    definitionBytes: number;
    repetitionBytes: number;
    compressed: boolean;
  },
): void {
  reader.struct((id, type) => {
    if (id === 1) page.values = reader.i32();
    else if (id === 3) page.rows = reader.i32();
    else if (id === 4) page.encoding = reader.i32();
    else if (id === 5) page.definitionBytes = reader.i32();
    else if (id === 6) page.repetitionBytes = reader.i32();
    else if (id === 7) page.compressed = reader.boolean(type);
    else reader.skip(type);
  });
}
