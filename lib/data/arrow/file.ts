import { type DataType, Schema } from "apache-arrow";
import type { BufferRegion, FieldNode } from "apache-arrow/ipc/metadata/message";
import { LRUCache } from "lru-cache";
import { DdscError } from "../../base/errors.js";
import { mapFewAtOnce } from "../io/few_at_once.js";
import { type Codec, inflate, namedErrors } from "../io/inflate.js";
import type { RandomAccess } from "../io/random_access.js";
import { codecOf } from "./codecs.js";
import { type ColumnPlace, columnPlaces } from "./column_places.js";
import { FILE_MAGIC } from "./magic.js";
import {
  type ArrowMessage,
  type BatchHeader,
  DictionaryBatch,
  damaged,
  decoded,
  readFooter,
  readMessage,
} from "./messages.js";
import { listElement } from "./types.js";

/** A batch of rows, or of a dictionary's values: where its columns and their buffers are. */
export interface ArrowBatch {
  readonly rows: number;
  /** By number of the column. */
  readonly columns: readonly ColumnPlace[];
  readonly nodes: readonly FieldNode[];
  /** Places of buffers, counted from `bodyOffset` on. */
  readonly buffers: readonly BufferRegion[];
  readonly bodyOffset: number;
  readonly compression: BatchHeader["compression"];
}

/** How many rows a batch of the file has. */
export interface BatchExtent {
  readonly rows: number;
  /** Rows, or elements of the lists that have most of them. */
  readonly values: number;
}

/** A message that holds rows, or values of a dictionary. */
type Place = { readonly offset: number } & (
  | ({ readonly kind: "rows" } & BatchExtent)
  // Added to the values before, or in place of them.
  | { readonly kind: "dictionary"; readonly id: number; readonly isDelta: boolean }
);

/** What is found in a file when it is opened. */
interface Contents {
  readonly schema: Schema;
  /** In the order in which they count. */
  readonly places: readonly Place[];
  readonly ended: boolean;
}

/** A buffer that is compressed. */
interface Compressed {
  readonly length: number;
  readonly codec: Codec;
}

const MAX_ROWS = 0x7fff_ffff;
/** Zstandard's densest block: 128 KiB in four bytes. */
const DENSEST = 2 ** 15;
/** Headers kept decoded: those of the batches that are read at the time, and of their dictionaries. */
const KEPT_HEADERS = 16;
/** Bytes kept decompressed: the columns of a batch are read in several parts, one after the other. */
const KEPT_BYTES = 2 ** 26;
/** Each compressed buffer begins with its size, a number of 64 bits; -1 says that it is not compressed after all. */
const SIZE_BYTES = 8;
const MAX_BYTES = 2 ** 31;

/**
 * An Arrow IPC file or stream open for reading: its schema, and where its batches are, told by a file's footer, or found by
 * walking over the headers of a stream, past the bodies. apache-arrow decodes headers and lays out columns; its readers of
 * whole files are not used, since they read and decompress a batch with all its columns at once, and look up nothing by row.
 */
export class ArrowFile {
  readonly name: string;
  readonly schema: Schema;
  readonly batches: readonly BatchExtent[];
  /** What is odd about the file, for the user. */
  readonly notes: readonly string[];
  readonly #file: RandomAccess;
  readonly #places: readonly Place[];
  /** Numbers of the places of batches. */
  readonly #rows: readonly number[];
  /** By place of the message. */
  readonly #headers: LRUCache<number, ArrowBatch>;
  /** By place of the compressed buffer. */
  readonly #inflated: LRUCache<number, Uint8Array, Compressed>;

  private constructor(file: RandomAccess, { schema, places, ended }: Contents) {
    this.name = file.name;
    this.schema = schema;
    this.batches = places.filter((place) => place.kind === "rows");
    this.notes = ended ? [] : ["the stream has no end mark: it may have been cut short between two batches"];
    this.#file = file;
    this.#places = places;
    this.#rows = places.flatMap(({ kind }, number) => (kind === "rows" ? [number] : []));
    this.#headers = new LRUCache({
      max: KEPT_HEADERS,
      ignoreFetchAbort: true,
      fetchMethod: (offset) => this.#readBatch(offset),
    });
    this.#inflated = new LRUCache({
      maxSize: KEPT_BYTES,
      sizeCalculation: (bytes) => Math.max(1, bytes.length),
      ignoreFetchAbort: true,
      fetchMethod: (offset, _, { context }) => this.#inflate(offset, context),
    });
  }

  /** Throws `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_TOO_LARGE`; the file is closed then. */
  static async open(file: RandomAccess): Promise<ArrowFile> {
    try {
      const head = Buffer.from(await file.read(0, Math.min(6, file.size))).toString("latin1");
      const contents = await (head === FILE_MAGIC ? fileContents(file) : streamContents(file));
      const opened = new ArrowFile(file, contents);
      const rows = opened.batches.reduce((sum, batch) => sum + batch.rows, 0);
      if (rows <= MAX_ROWS) return opened;
      const text = `${file.name}: claims ${rows} rows; at most 2^31 - 1 cells are supported`;
      throw new DdscError("DATA_TOO_LARGE", text, { file: file.name });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  close(): void {
    this.#file.close();
  }

  /** A batch of rows. */
  batch(index: number): Promise<ArrowBatch> {
    const place = this.#places[this.#rows[index] ?? -1];
    if (place === undefined)
      throw new DdscError("ARGUMENT_RANGE", `${this.name}: there is no batch ${index}`);
    return this.#headers.forceFetch(place.offset);
  }

  /** The batches that make up a dictionary as it is for a batch of rows: later ones add to it. */
  async dictionary(id: number, index: number): Promise<ArrowBatch[]> {
    const parts: number[] = [];
    for (const place of this.#places.slice(0, this.#rows[index])) {
      if (place.kind !== "dictionary" || place.id !== id) continue;
      if (!place.isDelta) parts.length = 0;
      parts.push(place.offset);
    }
    return Promise.all(parts.map((offset) => this.#headers.forceFetch(offset)));
  }

  /** Some elements of a buffer, each of `bits` bits, beginning at one that starts a byte; at a multiple of eight in memory. */
  async read(
    batch: ArrowBatch,
    buffer: number,
    first: number,
    count: number,
    bits: number,
  ): Promise<Uint8Array> {
    const start = Math.floor((first * bits) / 8);
    const length = Math.ceil(((first + count) * bits) / 8) - start;
    if (length === 0) return new Uint8Array(0);
    const region = batch.buffers[buffer] ?? { offset: 0, length: 0 };
    const offset = batch.bodyOffset + region.offset;
    const whole = batch.compression === null ? undefined : await this.#whole(batch, buffer);
    if (start + length > (whole ?? region).length) throw this.corrupt("a column is shorter than its rows");
    const bytes = whole?.subarray(start, start + length) ?? (await this.#file.read(offset + start, length));
    return bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  }

  /** All bytes of a buffer, not to be changed. */
  async whole(batch: ArrowBatch, buffer: number): Promise<Uint8Array> {
    if (batch.compression !== null) return this.#whole(batch, buffer);
    return this.read(batch, buffer, 0, batch.buffers[buffer]?.length ?? 0, 8);
  }

  corrupt(what: string): DdscError {
    return damaged(this.name, what);
  }

  async #readBatch(offset: number): Promise<ArrowBatch> {
    const message = await readMessage(this.#file, offset);
    if (message === undefined) throw this.corrupt("a batch has gone");
    const { header, bodyOffset } = message;
    return decoded(this.name, () => {
      if (header instanceof Schema) throw new Error("a batch has gone");
      const isDictionary = header instanceof DictionaryBatch;
      const types = isDictionary ? [this.schema.dictionaries.get(header.id)] : columnTypes(this.schema);
      const batch = isDictionary ? header.data : header;
      const columns = columnPlaces(types, batch, this.schema.metadataVersion);
      const { length: rows, nodes, buffers, compression } = batch;
      return { rows, columns, nodes, buffers, bodyOffset, compression };
    });
  }

  async #whole({ buffers, bodyOffset, compression }: ArrowBatch, buffer: number): Promise<Uint8Array> {
    const region = buffers[buffer];
    if (region === undefined || compression === null) return new Uint8Array(0);
    const codec = codecOf(compression.type);
    if (codec === undefined) throw this.corrupt("its batches are compressed in an unknown way");
    const context = { length: region.length, codec };
    return this.#inflated.forceFetch(bodyOffset + region.offset, { context });
  }

  async #inflate(offset: number, { length, codec }: Compressed): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    if (length < SIZE_BYTES) throw this.corrupt("a compressed buffer has no size");
    const bytes = await this.#file.read(offset, length);
    const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true));
    const content = bytes.subarray(SIZE_BYTES);
    if (size === -1) return content;
    if (size < 0 || size > Math.min(MAX_BYTES, content.length * DENSEST))
      throw this.corrupt(`a compressed buffer claims ${size} bytes`);
    return namedErrors(this.name, () => inflate(codec, content, size));
  }
}

/** What a file's footer lists: all dictionaries count before the first row does, wherever they are. */
async function fileContents(file: RandomAccess): Promise<Contents> {
  const { schema, dictionaries, batches } = await readFooter(file);
  const places = await mapFewAtOnce([...dictionaries, ...batches], async (offset) => {
    const message = await readMessage(file, offset);
    if (message === undefined) throw damaged(file.name, "a batch has gone");
    return placeOf(file.name, schema, offset, message.header);
  });
  const whole = places.flatMap((place) => (place.kind === "dictionary" && !place.isDelta ? [place.id] : []));
  if (new Set(whole).size < whole.length)
    throw damaged(file.name, "it replaces a dictionary, which only a stream may");
  return { schema, places, ended: true };
}

/** What is found by walking over the messages of a stream. */
async function streamContents(file: RandomAccess): Promise<Contents> {
  const first = await readMessage(file, 0);
  if (!(first?.header instanceof Schema)) throw damaged(file.name, "it does not begin with a schema");
  const schema = first.header;
  const places: Place[] = [];
  for (let offset = first.end; offset < file.size; ) {
    const message = await readMessage(file, offset);
    if (message === undefined) return { schema, places, ended: true };
    places.push(placeOf(file.name, schema, offset, message.header));
    offset = message.end;
  }
  return { schema, places, ended: false };
}

function placeOf(name: string, schema: Schema, offset: number, header: ArrowMessage["header"]): Place {
  if (header instanceof Schema) throw damaged(name, "it has two schemas");
  if (header instanceof DictionaryBatch)
    return { kind: "dictionary", offset, id: header.id, isDelta: header.isDelta };
  return { kind: "rows", offset, ...decoded(name, () => extentOf(schema, header)) };
}

function columnTypes(schema: Schema): DataType[] {
  return schema.fields.map(({ type }) => type);
}

function extentOf(schema: Schema, header: BatchHeader): BatchExtent {
  const types = columnTypes(schema);
  let values = header.length;
  // Of a table with a column a gene this would take a while.
  if (!types.some((type) => listElement(type) !== undefined)) return { rows: values, values };
  for (const [column, place] of columnPlaces(types, header, schema.metadataVersion).entries()) {
    if (listElement(schema.fields[column]?.type) === undefined) continue;
    const elements = header.nodes[place.node + 1]?.length ?? 0;
    const bytes = header.buffers[place.buffer + 3]?.length ?? 0;
    // The file is cut into parts by this number, so it has to be one that can be.
    if (elements > bytes * (header.compression === null ? 1 : DENSEST))
      throw new Error(`column ${schema.fields[column]?.name} claims ${elements} values in ${bytes} bytes`);
    values = Math.max(values, elements);
  }
  return { rows: header.length, values };
}
