import { CompressionType } from "apache-arrow";
import type { Codec } from "../io/inflate.js";

/**
 * How buffers of this compression are undone, which apache-arrow leaves to its user; undefined where they cannot be. Its
 * registry of codecs is passed over: it decompresses on the event loop.
 */
export function codecOf(type: number): Codec | undefined {
  if (type === CompressionType.LZ4_FRAME) return "lz4-frame";
  return type === CompressionType.ZSTD ? "zstd" : undefined;
}
