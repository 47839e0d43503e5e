import { DdscError } from "../../base/errors.js";
import { type Codec, inflate } from "../io/inflate.js";
import type { ParquetPage } from "./pages.js";

/** Parquet's codecs, by number: their names, and how they are undone, if they are. */
const CODECS: readonly (readonly [name: string, codec?: Codec])[] = [
  ["none"],
  ["Snappy", "snappy"],
  ["gzip", "gzip"],
  ["LZO"],
  ["Brotli", "brotli"],
  ["LZ4 (Hadoop)"],
  ["Zstandard", "zstd"],
  ["LZ4", "lz4"],
];
const MAX_PAGE = 2 ** 30;

/** Throws `DATA_FORMAT` for a codec that cannot be read. */
export function checkCodec(name: string, codec: number): void {
  if (codec === 0 || CODECS[codec]?.[1] !== undefined) return;
  throw new DdscError(
    "DATA_FORMAT",
    `${name}: is compressed by ${CODECS[codec]?.[0] ?? `codec ${codec}`}, which is not supported; write it with Snappy or Zstandard`,
    { file: name },
  );
}

/**
 * A page's body decompressed: levels of version 2, which are never compressed, in front. Throws `DATA_CORRUPT` and
 * `DATA_TOO_LARGE`, naming no file.
 */
export async function inflatePage(codec: number, page: ParquetPage, body: Uint8Array): Promise<Uint8Array> {
  if (page.uncompressedBytes > MAX_PAGE)
    throw new DdscError(
      "DATA_TOO_LARGE",
      "a page claims more than 2^30 bytes; write it with smaller row groups",
    );
  const method = CODECS[codec]?.[1];
  if (method === undefined || !page.compressed) {
    if (body.length === page.uncompressedBytes) return body;
    throw new DdscError("DATA_CORRUPT", "a page has another size than its header says");
  }
  const levels = page.kind === "dataV2" ? page.definitionBytes + page.repetitionBytes : 0;
  const size = page.uncompressedBytes - levels;
  if (size < 0 || levels > body.length)
    throw new DdscError("DATA_CORRUPT", "a page's levels are longer than the page");
  // Some writers leave out what would be the compressed form of nothing.
  if (size === 0) return body.subarray(0, levels);
  const values = await inflate(method, body.subarray(levels), size);
  return levels === 0 ? values : Buffer.concat([body.subarray(0, levels), values]);
}
