import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { registry } from "zarrita";
import { crc32c } from "./crc32c.js";
import { zstdBytes } from "./zstd.js";

/** The most that a chunk of text may be once decompressed, bytes. */
const MAX_TEXT_BYTES = 2 ** 30;
/** What codecs between compression and numbers may add (a checksum, a length). */
const SLACK_BYTES = 64;
/** The most that blocks of a Zstandard frame without a size may hold, bytes. */
const MAX_STREAMED_BYTES = 2 ** 28;
const CHECKSUM_BYTES = 4;
const ELEMENT_BYTES = new Map([
  ["bool", 1],
  ["int8", 1],
  ["uint8", 1],
  ["int16", 2],
  ["uint16", 2],
  ["float16", 2],
  ["int32", 4],
  ["uint32", 4],
  ["float32", 4],
  ["int64", 8],
  ["uint64", 8],
  ["float64", 8],
]);

/** What a codec is told of the chunk that it decodes. */
interface ChunkShape {
  readonly dataType: string;
  readonly shape: readonly number[];
}

type Decode = (bytes: Uint8Array, limit: number) => Promise<Uint8Array>;
type Registered = NonNullable<ReturnType<typeof registry.get>>;

/** Bytes of an element of a data type; undefined for text of any length. */
export function elementBytes(dataType: string): number | undefined {
  const fixed = /^v2:([US])(\d+)$/.exec(dataType);
  if (fixed !== null) return Number(fixed[2]) * (fixed[1] === "U" ? 4 : 1);
  return ELEMENT_BYTES.get(dataType);
}

/** The most bytes that a chunk can be decompressed to. */
function chunkLimit({ dataType, shape }: ChunkShape): number {
  const bytes = elementBytes(dataType);
  if (bytes === undefined) return MAX_TEXT_BYTES;
  return shape.reduce((product, extent) => product * extent, bytes) + SLACK_BYTES;
}

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);

/** Decompressors, each refusing what is larger than the chunk can be before it takes memory for it. */
const DECOMPRESSORS: Readonly<Record<string, Decode>> = {
  gzip: (bytes, limit) => gunzipAsync(bytes, { maxOutputLength: limit }),
  zlib: (bytes, limit) => inflateAsync(bytes, { maxOutputLength: limit }),
  zstd: async (bytes, limit) => {
    const claim = zstdBytes(bytes);
    // Frames written piece by piece do not say; their blocks may be far from full.
    checkClaim(claim.bytes, claim.exact ? limit : Math.max(limit, MAX_STREAMED_BYTES));
    const { default: Zstd } = await import("numcodecs/zstd");
    return Zstd.fromConfig({ id: "zstd" }).decode(bytes);
  },
  blosc: async (bytes, limit) => {
    // Header: version, version of the codec, flags, element size; then decompressed, block and compressed bytes.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    checkClaim(view.getUint32(4, true), limit);
    if (view.getUint32(12, true) !== bytes.byteLength)
      throw new Error("a blosc chunk of another length than it says");
    const { default: Blosc } = await import("numcodecs/blosc");
    return Blosc.fromConfig({ id: "blosc" }).decode(bytes);
  },
  lz4: async (bytes, limit) => {
    checkClaim(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true), limit);
    const { default: Lz4 } = await import("numcodecs/lz4");
    return Lz4.fromConfig({ id: "lz4" }).decode(bytes);
  },
};

function checkClaim(claimed: number, limit: number): void {
  if (claimed > limit) throw new Error(`a chunk claims ${claimed} bytes where at most ${limit} are possible`);
}

let strict = false;

/**
 * Makes zarrita decode as strictly as its files deserve: chunks that decompress to more than they can be are refused before
 * memory is taken for them, checksums are compared, and texts must fill their chunk exactly. Valid chunks decode as before.
 */
export function useStrictCodecs(): void {
  if (strict) return;
  strict = true;
  for (const [name, decode] of Object.entries(DECOMPRESSORS)) {
    const codec = {
      fromConfig: (_config: unknown, chunk: ChunkShape) => ({
        kind: "bytes_to_bytes",
        encode: readOnly,
        decode: async (bytes: Uint8Array): Promise<Uint8Array> => {
          const limit = chunkLimit(chunk);
          const result = await decode(bytes, limit);
          checkClaim(result.byteLength, limit);
          // Not a Buffer, of which zarrita's `slice` would be no copy.
          return new Uint8Array(result.buffer, result.byteOffset, result.byteLength);
        },
      }),
    };
    register(name, codec);
    register(`numcodecs.${name}`, codec);
  }
  register("crc32c", { fromConfig: () => CHECKSUM });
  register("vlen-utf8", TEXTS);
  register("numcodecs.vlen-utf8", TEXTS);
}

function register(name: string, codec: unknown): void {
  // The types of zarrita's codecs are not exported; a codec of each kind has the same members as its own.
  registry.set(name, (async () => codec) as unknown as Registered);
}

function readOnly(): never {
  throw new Error("chunks are read only");
}

const CHECKSUM = {
  kind: "bytes_to_bytes",
  encode: readOnly,
  decode(bytes: Uint8Array): Uint8Array {
    const length = bytes.byteLength - CHECKSUM_BYTES;
    if (length < 0) throw new Error("a chunk is shorter than its checksum");
    const stored = new DataView(bytes.buffer, bytes.byteOffset + length).getUint32(0, true);
    const data = bytes.subarray(0, length);
    if (crc32c(data) !== stored) throw new Error("a checksum does not fit its chunk");
    return data;
  },
  computeEncodedSize: (bytes: number): number => bytes + CHECKSUM_BYTES,
};

/** Texts of any length: their number, then each one's length and UTF-8 bytes. */
const TEXTS = {
  fromConfig: (_config: unknown, { shape }: ChunkShape) => ({
    kind: "array_to_bytes",
    encode: readOnly,
    decode(bytes: Uint8Array): { data: string[]; shape: readonly number[]; stride: number[] } {
      const count = shape.reduce((product, extent) => product * extent, 1);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (view.getUint32(0, true) !== count) throw new Error("a chunk of text has another number of texts");
      const decoder = new TextDecoder();
      const data: string[] = [];
      let at = 4;
      for (let i = 0; i < count; i++) {
        const end = at + 4 + view.getUint32(at, true);
        if (end > bytes.byteLength) throw new Error("a text ends after its chunk");
        data.push(decoder.decode(bytes.subarray(at + 4, end)));
        at = end;
      }
      if (at !== bytes.byteLength) throw new Error("a chunk of text is longer than its texts");
      const stride = shape.map((_, axis) =>
        shape.slice(axis + 1).reduce((product, extent) => product * extent, 1),
      );
      return { data, shape, stride };
    },
  }),
};
