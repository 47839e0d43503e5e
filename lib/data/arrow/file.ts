import { DdscError } from "../../base/errors.js";
import type { Codec } from "../io/inflate.js";
import type { RandomAccess } from "../io/random_access.js";
import { FlatbufferError, FlatTable } from "./flatbuffer.js";
import { InflatedBuffers } from "./inflated.js";
import { type ArrowField, parseSchema } from "./schema.js";

/** A batch of rows, or of a dictionary's values: where its buffers are. */
export interface ArrowBatch {
  readonly rows: number;
  /** Length and missing values of each field, depth first. */
  readonly nodes: readonly (readonly [number, number])[];
  readonly buffers: readonly ArrowBuffer[];
}

/** Place in the file and length of a buffer, and how it is compressed, if it is. */
export type ArrowBuffer = readonly [offset: number, length: number, codec?: Codec];

/** Where a batch is. */
export interface ArrowPlace {
  /** Where its header begins. */
  readonly offset: number;
  /** Number of the message, which orders dictionaries and batches. */
  readonly message: number;
  readonly rows: number;
  /** Elements of the longest field: those of lists count, too. */
  readonly values: number;
}

/** A dictionary batch. */
interface DictionaryPlace extends ArrowPlace {
  readonly id: number;
  /** Added to the values before, in place of them. */
  readonly delta: boolean;
}

const FILE_MAGIC = "ARROW1";
const CONTINUATION = 0xffffffff;
const SCHEMA = 1;
const DICTIONARY = 2;
const BATCH = 3;
/** Read with each header's length, in the hope that it holds the header. */
const HEADER_READ = 4096;
/** Numbers of codecs in the format. */
const CODECS: readonly (Codec | undefined)[] = ["lz4-frame", "zstd"];
const MAX_HEADER = 2 ** 26;
const MAX_ROWS = 0x7fff_ffff;

/** One message of the format. */
interface Message {
  readonly kind: number;
  readonly header: FlatTable;
  readonly bodyOffset: number;
  readonly bodyBytes: number;
}

/**
 * An Arrow IPC file or stream open for reading: its schema and where its batches are, found by walking over the headers of
 * its messages, past their bodies. (The footer of the file format lists batches too, but not their rows.)
 */
export class ArrowFile {
  readonly name: string;
  readonly fields: readonly ArrowField[];
  readonly batches: readonly ArrowPlace[];
  /** What is odd about the file, for the user. */
  readonly notes: readonly string[];
  readonly #file: RandomAccess;
  readonly #dictionaries: readonly DictionaryPlace[];
  readonly #inflated: InflatedBuffers;

  private constructor(
    file: RandomAccess,
    fields: readonly ArrowField[],
    batches: readonly ArrowPlace[],
    dictionaries: readonly DictionaryPlace[],
    ended: boolean,
  ) {
    this.name = file.name;
    this.#file = file;
    this.#inflated = new InflatedBuffers(file);
    this.fields = fields;
    this.batches = batches;
    this.#dictionaries = dictionaries;
    this.notes = ended ? [] : ["the stream has no end mark: it may have been cut short between two batches"];
  }

  /** Throws `DATA_CORRUPT`, `DATA_TRUNCATED`, `DATA_FORMAT`, `DATA_TOO_LARGE`; the file is closed then. */
  static async open(file: RandomAccess): Promise<ArrowFile> {
    try {
      return await ArrowFile.#scan(file);
    } catch (error) {
      file.close();
      throw error instanceof FlatbufferError ? damaged(file.name, error) : error;
    }
  }

  static async #scan(file: RandomAccess): Promise<ArrowFile> {
    const head = Buffer.from(await file.read(0, Math.min(6, file.size))).toString("latin1");
    const isFile = head === FILE_MAGIC;
    if (isFile) await checkFileEnd(file);
    let fields: ArrowField[] | undefined;
    const batches: ArrowPlace[] = [];
    const dictionaries: DictionaryPlace[] = [];
    let rows = 0;
    let ended = false;
    for (let at = isFile ? 8 : 0, message = 0; at < file.size; message++) {
      const read = await readMessage(file, at);
      if (read === undefined) {
        ended = true;
        break;
      }
      const { kind, header } = read;
      if (kind === SCHEMA) {
        if (fields !== undefined) throw new FlatbufferError("it has two schemas");
        fields = parseSchema(header);
      } else if (fields === undefined) {
        throw new FlatbufferError("it does not begin with a schema");
      } else if (kind === BATCH) {
        const batch = parseBatch(header, read);
        rows += batch.rows;
        batches.push({ offset: at, message, ...extent(batch) });
      } else if (kind === DICTIONARY) {
        const data = header.table(1);
        if (data === undefined) throw new FlatbufferError("a dictionary is empty");
        const values = extent(parseBatch(data, read));
        dictionaries.push({
          offset: at,
          message,
          ...values,
          id: header.natural(0),
          delta: header.uint8(2) === 1,
        });
      } else {
        throw new FlatbufferError(`there is no message of type ${kind}`);
      }
      if (rows > MAX_ROWS) {
        throw new DdscError(
          "DATA_TOO_LARGE",
          `${file.name}: claims ${rows} rows; at most 2^31 - 1 cells are supported`,
          {
            file: file.name,
          },
        );
      }
      at = read.bodyOffset + read.bodyBytes;
    }
    if (fields === undefined) throw new FlatbufferError("it has no schema");
    return new ArrowFile(file, fields, batches, dictionaries, ended);
  }

  close(): void {
    this.#file.close();
  }

  /** The header of a batch. */
  async batch(index: number, signal?: AbortSignal): Promise<ArrowBatch> {
    const place = this.batches[index];
    if (place === undefined)
      throw new DdscError("ARGUMENT_RANGE", `${this.name}: there is no batch ${index}`);
    return this.#batchAt(place, (header) => header, signal);
  }

  /** The batches that make up a dictionary as it is for a batch of rows: later ones add to it. */
  async dictionary(id: number, index: number): Promise<ArrowBatch[]> {
    const before = this.batches[index]?.message ?? 0;
    // In the file format dictionaries may also follow the batches that use them.
    const known = this.#dictionaries.filter((place) => place.id === id);
    const earlier = known.filter(({ message }) => message < before);
    const usable = earlier.length > 0 ? earlier : known;
    let first = usable.length - 1;
    while (first > 0 && usable[first]?.delta === true) first--;
    return Promise.all(
      usable.slice(Math.max(first, 0)).map((place) => this.#batchAt(place, (header) => header.table(1))),
    );
  }

  /** Some elements of a buffer, each of `bits` bits, beginning at one that starts a byte. */
  async read(
    buffer: ArrowBuffer,
    first: number,
    count: number,
    bits: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const [offset, length, codec] = buffer;
    const start = Math.floor((first * bits) / 8);
    const bytes = Math.ceil(((first + count) * bits) / 8) - start;
    if (codec !== undefined && bytes > 0) {
      const whole = await this.#inflated.read([offset, length, codec], signal);
      if (start + bytes > whole.length) throw this.corrupt("a column is shorter than its rows");
      return whole.slice(start, start + bytes);
    }
    if (start + bytes > length && bytes > 0) throw this.corrupt("a column is shorter than its rows");
    return bytes === 0 ? new Uint8Array(0) : this.#file.read(offset + start, bytes, signal);
  }

  corrupt(what: string): DdscError {
    return damaged(this.name, new Error(what));
  }

  async #batchAt(
    place: ArrowPlace,
    find: (header: FlatTable) => FlatTable | undefined,
    signal?: AbortSignal,
  ): Promise<ArrowBatch> {
    try {
      const message = await readMessage(this.#file, place.offset, signal);
      const header = message === undefined ? undefined : find(message.header);
      if (message === undefined || header === undefined) throw new FlatbufferError("a batch has gone");
      return parseBatch(header, message);
    } catch (error) {
      throw error instanceof FlatbufferError ? damaged(this.name, error) : error;
    }
  }
}

function damaged(name: string, cause: Error): DdscError {
  const text = `${name}: is damaged: ${cause.message}; fetch or write it again`;
  return new DdscError("DATA_CORRUPT", text, { file: name }, { cause });
}

async function checkFileEnd(file: RandomAccess): Promise<void> {
  const end = file.size < 16 ? new Uint8Array(0) : await file.read(file.size - 6, 6);
  if (Buffer.from(end).toString("latin1") === FILE_MAGIC) return;
  throw new DdscError(
    "DATA_TRUNCATED",
    `${file.name}: does not end as an Arrow file does; it is cut short: fetch or write it again`,
    { file: file.name },
  );
}

/** The message at `at`; undefined at the end mark. */
async function readMessage(
  file: RandomAccess,
  at: number,
  signal?: AbortSignal,
): Promise<Message | undefined> {
  const start = await file.read(at, Math.min(HEADER_READ, file.size - at), signal);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const truncated = () =>
    new DdscError("DATA_TRUNCATED", `${file.name}: ends within a batch; fetch or write it again`, {
      file: file.name,
    });
  if (start.length < 4) throw truncated();
  // Before version 0.15 lengths had no mark in front.
  const prefix = view.getUint32(0, true) === CONTINUATION ? 8 : 4;
  if (start.length < prefix) throw truncated();
  const length = view.getUint32(prefix - 4, true);
  if (length === 0) return undefined;
  if (length > MAX_HEADER) throw new FlatbufferError(`a header claims ${length} bytes`);
  if (at + prefix + length > file.size) throw truncated();
  const header =
    prefix + length <= start.length
      ? start.subarray(prefix, prefix + length)
      : await file.read(at + prefix, length, signal);
  const message = FlatTable.root(header);
  const content = message.table(2);
  if (content === undefined) throw new FlatbufferError("a message is empty");
  const bodyBytes = message.natural(3);
  const bodyOffset = at + prefix + length;
  if (bodyOffset + bodyBytes > file.size) throw truncated();
  return { kind: message.uint8(1), header: content, bodyOffset, bodyBytes };
}

function parseBatch(header: FlatTable, { bodyOffset, bodyBytes }: Message): ArrowBatch {
  const codec = codecOf(header.table(3));
  const rows = header.natural(0);
  if (rows > MAX_ROWS) throw new FlatbufferError("a batch has too many rows");
  const buffers = header.pairs(2).map(([offset, length]) => {
    if (offset + length > bodyBytes) throw new FlatbufferError("a buffer lies outside its batch");
    return codec === undefined
      ? ([bodyOffset + offset, length] as const)
      : ([bodyOffset + offset, length, codec] as const);
  });
  return { rows, nodes: header.pairs(1), buffers };
}

/** How the buffers of a batch are compressed; undefined where they are not. */
function codecOf(compression: FlatTable | undefined): Codec | undefined {
  if (compression === undefined) return undefined;
  const codec = CODECS[compression.uint8(0)];
  // Each buffer by itself is the only way there is.
  if (codec === undefined || compression.uint8(1) !== 0)
    throw new FlatbufferError("its batches are compressed in a way that the format does not have");
  return codec;
}

function extent(batch: ArrowBatch): { rows: number; values: number } {
  return { rows: batch.rows, values: batch.nodes.reduce((most, [length]) => Math.max(most, length), 0) };
}
