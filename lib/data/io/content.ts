import { type FileHandle, readdir, stat } from "node:fs/promises";
import { DdscError } from "../../base/errors.js";
import { errorCode } from "../../base/files.js";
import { NotAFile, openToRead } from "../../base/regular_files.js";
import { MAGIC } from "../parquet/format.js";

/** What a path holds, looked at once for all formats. */
export type Content =
  | {
      readonly kind: "file";
      readonly path: string;
      /** The file's first bytes, at most 4,096. */
      readonly head: Buffer;
      /** Length of the file, bytes. */
      readonly size: number;
      /** Whether it is an HDF5 file, maybe behind a user block. */
      readonly hdf5: boolean;
    }
  | {
      readonly kind: "folder";
      readonly path: string;
      /** Names in the folder, hidden ones left out, in order. */
      readonly names: readonly string[];
    }
  | { readonly kind: "url"; readonly path: string };

const HEAD_BYTES = 4096;
const HDF5_SIGNATURE = Buffer.from("\x89HDF\r\n\x1a\n", "latin1");
/** HDF5 allows a block of the user's own first: the signature is at 0, 512, 1024, 2048, ... */
const LAST_USER_BLOCK = 1 << 20;
const URL_SCHEME = /^(?:https?|s3):\/\//i;

/** What files begin with, to say what was found where no format fits. */
const KNOWN: readonly (readonly [Buffer, string])[] = [
  [HDF5_SIGNATURE, "an HDF5 file"],
  [Buffer.from("PK\x03\x04", "latin1"), "a zip archive"],
  [Buffer.from("\x1f\x8b", "latin1"), "a gzip file"],
  [Buffer.from(MAGIC), "a Parquet file"],
  [Buffer.from("ARROW1"), "an Arrow file"],
  [Buffer.from("%%MatrixMarket"), "a Matrix Market file"],
  [Buffer.from("{"), "JSON text"],
];

/** Whether a path is an address: http(s) or S3. */
export function isUrl(path: string): boolean {
  return URL_SCHEME.test(path);
}

/** Looks at what a path or address holds. Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`. */
export async function readContent(path: string): Promise<Content> {
  if (isUrl(path)) return { kind: "url", path };
  try {
    const found = await stat(path);
    if (found.isDirectory()) {
      const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
      return { kind: "folder", path, names };
    }
    const file = await openToRead(path);
    try {
      const buffer = Buffer.alloc(HEAD_BYTES);
      const { bytesRead } = await file.read(buffer, 0, HEAD_BYTES, 0);
      const head = buffer.subarray(0, bytesRead);
      return { kind: "file", path, head, size: found.size, hdf5: await hasHdf5Signature(file) };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof DdscError ? error : unreadable(path, error);
  }
}

/** What was found, in words, where no format fits. */
export function describeContent(content: Content): string {
  if (content.kind === "url") return "a web address";
  if (content.kind === "folder") return content.names.length === 0 ? "an empty folder" : "a folder";
  const { head } = content;
  if (head.length === 0) return "an empty file";
  const known = KNOWN.find(([magic]) => head.subarray(0, magic.length).equals(magic));
  if (known !== undefined) return known[1];
  if (content.hdf5) return "an HDF5 file";
  const printable = head.every((byte) => byte >= 32 || byte === 9 || byte === 10 || byte === 13);
  return printable ? "a text file" : "a binary file of an unknown kind";
}

async function hasHdf5Signature(file: FileHandle): Promise<boolean> {
  for (let at = 0; at <= LAST_USER_BLOCK; at = at === 0 ? 512 : at * 2) {
    const signature = Buffer.alloc(HDF5_SIGNATURE.length);
    const { bytesRead } = await file.read(signature, 0, signature.length, at);
    if (bytesRead < signature.length) return false;
    if (signature.equals(HDF5_SIGNATURE)) return true;
  }
  return false;
}

/** The error of the file system, with a code and a remedy. */
export function unreadable(path: string, error: unknown): DdscError {
  const code = errorCode(error);
  const place = { file: path };
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new DdscError("DATA_NOT_FOUND", `${path}: no such file; check the path`, place, { cause: error });
  }
  const reason =
    code === "EACCES" || code === "EPERM"
      ? "permission denied; change the file's permissions"
      : error instanceof NotAFile
        ? error.message
        : String(error);
  return new DdscError("DATA_UNREADABLE", `${path}: cannot be read: ${reason}`, place, { cause: error });
}
