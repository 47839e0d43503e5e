import type { OpenOptions } from "../sources/cells.js";
import type { PackedText } from "../sources/packed_strings.js";
import type { PackedIdentities } from "./identities.js";

/** Files that are opened the same way: plain data. */
export interface FileList {
  /** Paths, and addresses in full. */
  readonly paths: PackedText;
  /** Number of each file's format, [files]. */
  readonly formats: Uint8Array;
  readonly options: OpenOptions;
  /** What is known of them; left out before any was opened. */
  readonly identities?: PackedIdentities;
}
