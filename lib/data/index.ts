import { open, stat } from "node:fs/promises";
import { DdscError } from "../errors.js";
import { H5adSource } from "./h5ad.js";
import { MemorySource } from "./memory.js";
import type { FramedSource, H5adOptions, SourceDescriptor } from "./source.js";
import { subsetSource } from "./subset.js";

const HDF5_SIGNATURE = Buffer.from("\x89HDF\r\n\x1a\n", "latin1");
/** HDF5 allows a block of the user's own first: the signature is at 0, 512, 1024, 2048, ... */
const LAST_USER_BLOCK = 1 << 20;

/** What files begin with, to say what was found where .h5ad was expected. */
const OTHER_FORMATS: readonly (readonly [Buffer, string])[] = [
  [Buffer.from("PK\x03\x04", "latin1"), "a zip archive"],
  [Buffer.from("\x1f\x8b", "latin1"), "a gzip file"],
  [Buffer.from("PAR1"), "a Parquet file"],
  [Buffer.from("ARROW1"), "an Arrow file"],
  [Buffer.from("%%MatrixMarket"), "a Matrix Market file"],
  [Buffer.from("{"), "JSON text"],
];

/**
 * Opens a file of cells. The format is found by content, not by name.
 *
 * Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`, `DATA_FORMAT` (naming what was found and what is supported) and the
 * errors of the format's reader: see `H5adSource.open`.
 */
export async function openCells(path: string, options: H5adOptions = {}): Promise<FramedSource> {
  const found = await describeContent(path);
  if (found === "hdf5") return H5adSource.open(path, options);
  throw new DdscError("DATA_FORMAT", `${path}: ${found}; supported are AnnData files (.h5ad, HDF5)`, {
    file: path,
  });
}

/** Opens the source again that `CellSource.descriptor` described. Throws as `openCells` does. */
export async function openSource(descriptor: SourceDescriptor): Promise<FramedSource> {
  switch (descriptor.kind) {
    case "h5ad":
      return openCells(descriptor.path, descriptor.options);
    case "memory":
      return new MemorySource(descriptor.cells);
    case "subset": {
      const whole = await openSource(descriptor.source);
      return subsetSource(whole, descriptor.rows, () => whole[Symbol.dispose]());
    }
  }
}

/** "hdf5", or what the file is instead, in words. */
async function describeContent(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return "a folder";
    const file = await open(path, "r");
    try {
      const start = Buffer.alloc(16);
      const { bytesRead } = await file.read(start, 0, start.length, 0);
      if (bytesRead === 0) return "an empty file";
      const head = start.subarray(0, bytesRead);
      const other = OTHER_FORMATS.find(([magic]) => head.subarray(0, magic.length).equals(magic));
      if (other !== undefined) return other[1];
      for (let at = 0; at <= LAST_USER_BLOCK; at = at === 0 ? 512 : at * 2) {
        const signature = Buffer.alloc(HDF5_SIGNATURE.length);
        const piece = await file.read(signature, 0, signature.length, at);
        if (piece.bytesRead < signature.length) break;
        if (signature.equals(HDF5_SIGNATURE)) return "hdf5";
      }
      const printable = head.every((byte) => byte >= 32 || byte === 9 || byte === 10 || byte === 13);
      return printable ? "a text file" : "not an HDF5 file";
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): DdscError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new DdscError(
      "DATA_NOT_FOUND",
      `${path}: no such file; check the path`,
      { file: path },
      { cause: error },
    );
  }
  const reason =
    code === "EACCES" || code === "EPERM"
      ? "permission denied; change the file's permissions"
      : String(error);
  return new DdscError(
    "DATA_UNREADABLE",
    `${path}: cannot be read: ${reason}`,
    { file: path },
    { cause: error },
  );
}
