import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflateRaw, inflate as zlibInflate } from "node:zlib";
import { DdscError } from "../../base/errors.js";
import { zstdDecompress } from "../../native/data.js";

/** Compressions that can be undone: "deflate" is that of zip, "lz4" a bare block, as Parquet's LZ4_RAW. */
export type Codec =
  | "gzip"
  | "zlib"
  | "deflate"
  | "brotli"
  | "snappy"
  | "lz4"
  | "lz4-frame"
  | "zstd"
  | "blosc";

type Inflate = (bytes: Uint8Array, most: number) => Promise<Uint8Array>;

/** Blocks of these grow by no more: a larger claim is refused before memory is taken for it. */
const SNAPPY_GROWTH = 32;
const LZ4_GROWTH = 256;
const MAX_BYTES = 2 ** 31;

const gunzipAsync = promisify(gunzip);
const zlibInflateAsync = promisify(zlibInflate);
const inflateRawAsync = promisify(inflateRaw);
const brotliAsync = promisify(brotliDecompress);

/** A module that is loaded when it is first needed; asking the loader each time would take longer than many pages do. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}

const snappy = once(() => import("snappy"));
const lz4 = once(() => import("lz4-napi"));
const blosc = once(() => import("numcodecs/blosc"));

const INFLATE: Readonly<Record<Codec, Inflate>> = {
  gzip: (bytes, most) => gunzipAsync(bytes, { maxOutputLength: Math.max(1, most) }),
  zlib: (bytes, most) => zlibInflateAsync(bytes, { maxOutputLength: Math.max(1, most) }),
  deflate: (bytes, most) => inflateRawAsync(bytes, { maxOutputLength: Math.max(1, most) }),
  brotli: (bytes, most) => brotliAsync(bytes, { maxOutputLength: Math.max(1, most) }),
  snappy: async (bytes, most) => {
    checkClaim(snappyBytes(bytes), Math.min(most, bytes.length * SNAPPY_GROWTH));
    const { uncompress } = await snappy();
    return (await uncompress(bytes, { asBuffer: true })) as Buffer;
  },
  lz4: async (bytes, most) => {
    checkClaim(most, bytes.length * LZ4_GROWTH);
    const { uncompress } = await lz4();
    // The library wants the size in front.
    const sized = new Uint8Array(4 + bytes.length);
    new DataView(sized.buffer).setUint32(0, most, true);
    sized.set(bytes, 4);
    return uncompress(sized);
  },
  "lz4-frame": async (bytes, most) => {
    const { decompressFrame } = await lz4();
    const contents: Uint8Array[] = [];
    let total = 0;
    for (const frame of lz4Frames(bytes, most)) {
      const content = await decompressFrame(frame);
      contents.push(content);
      total += content.length;
      checkClaim(total, most);
    }
    return contents.length === 1 && contents[0] !== undefined ? contents[0] : Buffer.concat(contents);
  },
  zstd: zstdDecompress,
  blosc: async (bytes, most) => {
    // Header: version, version of the codec, flags, element size; then decompressed, block and compressed bytes.
    const view = viewOf(bytes);
    checkClaim(view.getUint32(4, true), most);
    if (view.getUint32(12, true) !== bytes.byteLength) throw new Error("it has another length than it says");
    const { default: Blosc } = await blosc();
    return Blosc.fromConfig({ id: "blosc" }).decode(bytes);
  },
};

/**
 * Decompresses bytes that hold exactly `size`, in libuv's thread pool (blosc on the event loop). No memory is taken for what
 * the bytes cannot hold. Throws `DATA_CORRUPT`, and `DATA_TOO_LARGE` for 2^31 bytes and more; the errors name no file: see
 * `namedErrors`.
 */
export async function inflate(codec: Codec, bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const content = await inflateUpTo(codec, bytes, size);
  if (content.length === size) return content;
  throw damaged(codec, `it holds ${content.length} bytes where ${size} should be`);
}

/** As `inflate`, of bytes of which only the most that they may hold is known. */
export async function inflateUpTo(codec: Codec, bytes: Uint8Array, most: number): Promise<Uint8Array> {
  if (most >= MAX_BYTES)
    throw new DdscError("DATA_TOO_LARGE", `compressed data claims ${most} bytes; write it in smaller blocks`);
  try {
    const content = await INFLATE[codec](bytes, most);
    checkClaim(content.length, most);
    return content;
  } catch (error) {
    if (error instanceof DdscError) throw error;
    throw damaged(codec, error instanceof Error ? error.message : String(error), error);
  }
}

/** Runs work whose errors do not know which file they are about: `DdscError`s then name it. */
export async function namedErrors<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DdscError)) throw error;
    const remedy = error.code === "DATA_CORRUPT" ? "; fetch or write the file again" : "";
    throw new DdscError(error.code, `${name}: ${error.text}${remedy}`, { file: name }, { cause: error });
  }
}

function damaged(codec: Codec, what: string, cause?: unknown): DdscError {
  return new DdscError("DATA_CORRUPT", `a block of ${codec} data is damaged: ${what}`, {}, { cause });
}

function checkClaim(claimed: number, most: number): void {
  if (claimed > most) throw new Error(`it claims ${claimed} bytes where at most ${most} are possible`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What a Snappy block says that it holds: a number in groups of seven bits, the lowest first. */
function snappyBytes(bytes: Uint8Array): number {
  let claimed = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i] ?? 0x80;
    claimed += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return claimed;
  }
  throw new Error("it has no size");
}

const LZ4_MAGIC = 0x184d2204;
/** Frames to be passed over; the last four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const LZ4_STORED = 0x8000_0000;

/**
 * The LZ4 frames in `bytes`, each complete. lz4-napi reads only the first one, takes a frame that lacks its end for whole, and
 * writes what blocks hold before anything says how much that is: where all blocks together may hold far more than
 * `most`, the frame is refused.
 */
function* lz4Frames(bytes: Uint8Array, most: number): Generator<Uint8Array, void, undefined> {
  const view = viewOf(bytes);
  const past = (at: number): number => {
    if (at > bytes.length) throw new Error("a frame is not complete");
    return at;
  };
  let possible = 0;
  for (let start = 0; start < bytes.length; ) {
    past(start + 8);
    const magic = view.getUint32(start, true);
    if (magic - (magic % 16) === SKIPPABLE_MAGIC) {
      start = past(start + 8 + view.getUint32(start + 4, true));
      continue;
    }
    if (magic !== LZ4_MAGIC) throw new Error("it is no LZ4 frame");
    const flags = view.getUint8(start + 4);
    const mostOfBlock = 2 ** (8 + 2 * ((view.getUint8(start + 5) >> 4) & 7));
    let at = start + 7 + (flags & 8) + ((flags & 1) === 0 ? 0 : 4);
    for (;;) {
      past(at + 4);
      const word = view.getUint32(at, true);
      at += 4;
      if (word === 0) break;
      const length = word % LZ4_STORED;
      possible += Math.min(mostOfBlock, word === length ? length * LZ4_GROWTH : length);
      at = past(at + length + ((flags & 16) === 0 ? 0 : 4));
    }
    const end = past(at + (flags & 4));
    // Blocks need not be full.
    checkClaim(possible, 4 * most + 2 ** 26);
    yield bytes.subarray(start, end);
    start = end;
  }
}
