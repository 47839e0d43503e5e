import type { FileHandle } from "node:fs/promises";
import { constants, createGunzip, gunzipSync } from "node:zlib";
import { DdscError } from "../../base/errors.js";
import { errorCode } from "../../base/files.js";
import { openToRead } from "../../base/regular_files.js";
import { unreadable } from "./content.js";
import { corrupt } from "./random_access.js";

const PIECE_BYTES = 1 << 18;

/** True if the file begins as gzip files do. */
async function isGzip(file: FileHandle): Promise<boolean> {
  const start = Buffer.alloc(2);
  const { bytesRead } = await file.read(start, 0, 2, 0);
  return bytesRead === 2 && start[0] === 0x1f && start[1] === 0x8b;
}

/**
 * The bytes of a text file from its beginning, in pieces that are valid until the next one is asked for; a gzipped file
 * (found by content, also of several members as bgzip writes it) is decompressed on the way. Memory: a few pieces.
 *
 * Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`, `DATA_TRUNCATED` and `DATA_CORRUPT` (gzip), or the signal's reason.
 */
export async function* textPieces(path: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  try {
    await using handle = await openToRead(path);
    const gzipped = await isGzip(handle);
    const file = handle.createReadStream({ start: 0, highWaterMark: PIECE_BYTES, autoClose: false });
    const stream = gzipped ? file.pipe(createGunzip({ chunkSize: PIECE_BYTES })) : file;
    // `pipe` does not pass errors on.
    if (gzipped) file.on("error", (error) => stream.destroy(error));
    try {
      for await (const piece of stream) {
        signal?.throwIfAborted();
        yield piece as Buffer;
      }
    } finally {
      file.destroy();
      stream.destroy();
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    throw readError(path, error);
  }
}

/** The start of a text file, given the start of the file: decompressed if gzipped; shorter if the data is damaged. */
export function textHead(head: Buffer): Buffer {
  if (head[0] !== 0x1f || head[1] !== 0x8b) return head;
  try {
    return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}

function readError(path: string, error: unknown): unknown {
  if (error instanceof DdscError) return error;
  const code = errorCode(error);
  // Errors of the file system have a code; anything else is a defect, not the file's.
  if (code === undefined) return error;
  if (!code.startsWith("Z_")) return unreadable(path, error);
  if (code !== "Z_BUF_ERROR") return corrupt(path, `the gzip data is damaged (${(error as Error).message})`);
  const text = `${path}: the compressed data ends too early (an interrupted copy or download?); fetch the file again`;
  return new DdscError("DATA_TRUNCATED", text, { file: path });
}
