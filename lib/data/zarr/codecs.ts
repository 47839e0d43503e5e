import { registry } from "zarrita";
import { crc32c } from "../../base/crc32c.js";
import { DdscError } from "../../base/errors.js";
import { inflate, inflateUpTo } from "../io/inflate.js";

/** The most that a chunk of text may be once decompressed, bytes. */
const MAX_TEXT_BYTES = 2 ** 30;
/** What codecs between compression and numbers may add (a checksum, a length). */
const SLACK_BYTES = 64;
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

/** Decompressors, each refusing what is larger than the chunk can be before it takes memory for it. */
const DECOMPRESSORS: Readonly<Record<string, Decode>> = {
  gzip: (bytes, limit) => inflateUpTo("gzip", bytes, limit),
  zlib: (bytes, limit) => inflateUpTo("zlib", bytes, limit),
  zstd: (bytes, limit) => inflateUpTo("zstd", bytes, limit),
  blosc: (bytes, limit) => inflateUpTo("blosc", bytes, limit),
  lz4: (bytes, limit) => {
    const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
    checkClaim(size, limit);
    return inflate("lz4", bytes.subarray(4), size);
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
          const result = await decode(bytes, limit).catch((error: unknown) => {
            // The reader of the array says in which file.
            throw error instanceof DdscError ? new Error(error.text) : error;
          });
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
