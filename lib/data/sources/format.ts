import type { Content } from "../io/content.js";
import type { CheckIdentity } from "../io/random_access_open.js";
import type { OpenOptions } from "./cells.js";
import type { FileSource } from "./file_source.js";

/** A format that cells can be read from. To add one, write its file and enter it in `formats.ts`. */
export interface CellFormat {
  /** As named in messages: "AnnData (.h5ad)". */
  readonly name: string;
  /** Options that it takes, beside the column of gene identifiers, which all do. */
  readonly takes: readonly (keyof OpenOptions)[];
  /** Whether content is of this format, told from what it is and not from its name alone. The first format that says yes opens it. */
  matches(content: Content, options: OpenOptions): boolean | Promise<boolean>;
  /** Whether a file found in a folder, and not named, holds cells, of those that match; default yes. */
  holdsCells?(path: string): Promise<boolean>;
  /** Opens it; `check` is told which version of the file this is, by formats that `opensAgain`. */
  open(path: string, options: OpenOptions, check?: CheckIdentity): Promise<FileSource>;
  /** Whether opening costs little: of many such files few are kept open. */
  readonly opensAgain?: boolean;
  /** Whether files of other kinds may look like this one: in a folder they are taken only where no other format is found. */
  readonly isDoubtful?: boolean;
  /** Whether only addresses are of this format, no file. */
  readonly onlyAddresses?: boolean;
  /** Whether a file of this name in a folder of shards, or among those that a pattern fits, goes with them and holds no cells itself (lower case name). */
  isCompanion?(name: string): boolean;
}
