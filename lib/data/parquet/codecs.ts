import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import { DdscError } from "../../base/errors.js";
import type { ParquetPage } from "./pages.js";

/** Parquet's codecs, by number. */
const CODECS = ["none", "Snappy", "gzip", "LZO", "Brotli", "LZ4 (Hadoop)", "Zstandard", "LZ4"] as const;
/** What native code decompresses itself. */
const NATIVE = new Set([0, 1, 6, 7]);
const GZIP = 2;
const BROTLI = 4;
const MAX_PAGE = 2 ** 30;

const inflate = { [GZIP]: promisify(gunzip), [BROTLI]: promisify(brotliDecompress) };

/** Throws `DATA_FORMAT` for a codec that cannot be read. */
export function checkCodec(name: string, codec: number): void {
  if (NATIVE.has(codec) || codec === GZIP || codec === BROTLI) return;
  throw new DdscError(
    "DATA_FORMAT",
    `${name}: is compressed by ${CODECS[codec] ?? `codec ${codec}`}, which is not supported; write it with Snappy or Zstandard`,
    { file: name },
  );
}

/** Whether native code decompresses this codec. */
export function isNativeCodec(codec: number): boolean {
  return NATIVE.has(codec);
}

/** A page's body decompressed by zlib: levels of version 2, which are never compressed, in front. Throws `DATA_CORRUPT`. */
export async function inflatePage(
  name: string,
  codec: number,
  page: ParquetPage,
  body: Uint8Array,
): Promise<Uint8Array> {
  const levels = page.kind === "dataV2" ? page.definitionBytes + page.repetitionBytes : 0;
  if (!page.compressed || page.uncompressedBytes === levels) return body;
  const corrupt = (cause?: unknown) =>
    new DdscError(
      "DATA_CORRUPT",
      `${name}: a compressed page is damaged; fetch or write the file again`,
      { file: name },
      { cause },
    );
  const length = page.uncompressedBytes - levels;
  if (length <= 0 || levels > body.length || length > MAX_PAGE) throw corrupt();
  try {
    const values = await inflate[codec as keyof typeof inflate](body.subarray(levels), {
      maxOutputLength: length,
    });
    if (values.length !== length) throw corrupt();
    return levels === 0 ? values : Buffer.concat([body.subarray(0, levels), values]);
  } catch (error) {
    throw error instanceof DdscError ? error : corrupt(error);
  }
}
