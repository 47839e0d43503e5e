import { CompressionType } from "apache-arrow";
import { decompress } from "../../native/data.js";

/** Whether buffers that are compressed so can be read. */
export function isKnownCodec(type: number): type is CompressionType {
  return type === CompressionType.LZ4_FRAME || type === CompressionType.ZSTD;
}

/** Decompresses a buffer to exactly `size` bytes. Off the event loop, which apache-arrow's registry of codecs cannot do. */
export function inflateBuffer(type: CompressionType, bytes: Uint8Array, size: number): Promise<Uint8Array> {
  return decompress(bytes, type === CompressionType.ZSTD ? "zstd" : "lz4", size);
}
