import { MessageHeader, Schema } from "apache-arrow";
import { DictionaryBatch as DictionaryTable } from "apache-arrow/fb/dictionary-batch";
import { Endianness } from "apache-arrow/fb/endianness";
import { Footer as FooterTable } from "apache-arrow/fb/footer";
import { Message as MessageTable } from "apache-arrow/fb/message";
import type { MetadataVersion } from "apache-arrow/fb/metadata-version";
import { RecordBatch as BatchTable } from "apache-arrow/fb/record-batch";
import { Schema as SchemaTable } from "apache-arrow/fb/schema";
import { RecordBatch as BatchHeader, DictionaryBatch } from "apache-arrow/ipc/metadata/message";
import { DdscError } from "../../base/errors.js";
import { corrupt, type RandomAccess } from "../io/random_access.js";
import { CheckedBytes } from "./checked_bytes.js";
import { codecOf } from "./codecs.js";
import { FILE_MAGIC } from "./magic.js";

export { BatchHeader, DictionaryBatch };

/** One message of the format: its header, decoded by apache-arrow and checked, and where its body is. */
export interface ArrowMessage {
  readonly header: Schema | BatchHeader | DictionaryBatch;
  readonly bodyOffset: number;
  /** Where the next message begins in a stream. */
  readonly end: number;
}

/** What the end of a file tells. */
export interface ArrowFooter {
  readonly schema: Schema;
  /** Where the messages of dictionaries and of rows begin. */
  readonly dictionaries: readonly number[];
  readonly batches: readonly number[];
}

/** In front of lengths since version 0.15 of the format. */
const CONTINUATION = 0xffffffff;
/** Read with each header's length, in the hope that it holds the header. */
const HEADER_READ = 4096;
const MAX_HEADER = 2 ** 26;
const MAX_ROWS = 0x7fff_ffff;

/** The error for a file that contradicts itself. */
export function damaged(name: string, what: string, cause?: unknown): DdscError {
  return corrupt(name, `is damaged: ${what}`, cause);
}

/** Decodes something; what apache-arrow throws there means that the file is damaged. */
export function decoded<T>(name: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DdscError) throw error;
    throw damaged(name, error instanceof Error ? error.message : String(error), error);
  }
}

/** The message at `at`; undefined at the end mark. Throws `DATA_CORRUPT`, `DATA_TRUNCATED`. */
export async function readMessage(file: RandomAccess, at: number): Promise<ArrowMessage | undefined> {
  const { name, size } = file;
  const start = await file.read(at, Math.min(HEADER_READ, size - at));
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 8) {
    // Before version 0.15 the end mark was a length of zero alone.
    if (start.length >= 4 && view.getUint32(0, true) === 0) return undefined;
    throw truncated(name);
  }
  const prefix = view.getUint32(0, true) === CONTINUATION ? 8 : 4;
  const length = view.getUint32(prefix - 4, true);
  if (length === 0) return undefined;
  if (length > MAX_HEADER) throw damaged(name, `a header claims ${length} bytes`);
  const bodyOffset = at + prefix + length;
  if (bodyOffset > size) throw truncated(name);
  const bytes =
    prefix + length <= start.length
      ? start.subarray(prefix, prefix + length)
      : await file.read(at + prefix, length);
  const { header, bodyBytes } = decoded(name, () => decodeMessage(bytes));
  if (bodyOffset + bodyBytes > size) throw truncated(name);
  return { header, bodyOffset, end: bodyOffset + bodyBytes };
}

/** The footer of a file. Throws `DATA_CORRUPT`, `DATA_TRUNCATED`. */
export async function readFooter(file: RandomAccess): Promise<ArrowFooter> {
  const { name, size } = file;
  const tail = size < 20 ? Buffer.alloc(0) : Buffer.from(await file.read(size - 10, 10));
  if (tail.toString("latin1", 4) !== FILE_MAGIC) {
    throw new DdscError(
      "DATA_TRUNCATED",
      `${name}: does not end as an Arrow file does; it is cut short: fetch or write it again`,
      { file: name },
    );
  }
  const length = tail.readInt32LE(0);
  if (length < 0 || length > Math.min(MAX_HEADER, size - 18))
    throw damaged(name, `its footer claims ${length} bytes`);
  const bytes = await file.read(size - 10 - length, length);
  return decoded(name, () => decodeFooter(bytes));
}

function truncated(name: string): DdscError {
  return new DdscError("DATA_TRUNCATED", `${name}: ends within a batch; fetch or write it again`, {
    file: name,
  });
}

function decodeMessage(bytes: Uint8Array): { header: ArrowMessage["header"]; bodyBytes: number } {
  const message = MessageTable.getRootAsMessage(new CheckedBytes(bytes));
  const bodyBytes = natural(message.bodyLength());
  const version = message.version();
  switch (message.headerType()) {
    case MessageHeader.Schema:
      return { header: decodeSchema(message.header(new SchemaTable()), version), bodyBytes };
    case MessageHeader.RecordBatch: {
      const header = BatchHeader.decode(present(message.header(new BatchTable())), version);
      return { header: checkedBatch(header, bodyBytes), bodyBytes };
    }
    case MessageHeader.DictionaryBatch: {
      const header = DictionaryBatch.decode(present(message.header(new DictionaryTable())), version);
      checkedBatch(header.data, bodyBytes);
      return { header, bodyBytes };
    }
    default:
      throw new Error(`there is no message of type ${message.headerType()}`);
  }
}

function decodeFooter(bytes: Uint8Array): ArrowFooter {
  const footer = FooterTable.getRootAsFooter(new CheckedBytes(bytes));
  return {
    schema: decodeSchema(footer.schema(), footer.version()),
    dictionaries: places(footer.dictionariesLength(), (i) => footer.dictionaries(i)),
    batches: places(footer.recordBatchesLength(), (i) => footer.recordBatches(i)),
  };
}

function places(count: number, blockAt: (index: number) => { offset(): bigint } | null): number[] {
  const offsets: number[] = [];
  for (let i = 0; i < count; i++) offsets.push(natural(present(blockAt(i)).offset()));
  return offsets;
}

function decodeSchema(table: SchemaTable | null, version: MetadataVersion): Schema {
  const known = present(table);
  if (known.endianness() !== Endianness.Little) throw new Error("it is big-endian, which is not supported");
  const { fields, metadata, dictionaries } = Schema.decode(known, new Map(), version);
  // A name that is empty may be left out.
  const named = fields.map((field) => field.clone({ name: field.name ?? "" }));
  return new Schema(named, metadata, dictionaries, version);
}

/** Throws where a batch refers to bytes outside its body, or is compressed in a way that the format does not have. */
function checkedBatch(header: BatchHeader, bodyBytes: number): BatchHeader {
  natural(header.length);
  if (header.length > MAX_ROWS) throw new Error("a batch has too many rows");
  for (const { length } of header.nodes) natural(length);
  for (const { offset, length } of header.buffers)
    if (natural(offset) + natural(length) > bodyBytes) throw new Error("a buffer lies outside its batch");
  // Each buffer by itself is the only way there is.
  const { compression } = header;
  if (compression !== null && (codecOf(compression.type) === undefined || compression.method !== 0))
    throw new Error("its batches are compressed in a way that the format does not have");
  return header;
}

function present<T>(value: T | null): T {
  if (value === null) throw new Error("a header is empty");
  return value;
}

/** A whole number from 0 to 2^53 - 1. */
function natural(value: number | bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error("a length is out of range");
  return number;
}
