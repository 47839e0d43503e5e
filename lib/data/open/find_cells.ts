import { realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { DdscError } from "../../base/errors.js";
import type { Content } from "../io/content.js";
import { describeContent, isUrl, readContent } from "../io/content.js";
import { expandGlob, isGlob } from "../io/glob.js";
import { isS3 } from "../io/s3/address.js";
import type { OpenOptions } from "../sources/cells.js";
import type { CellFormat } from "../sources/format.js";
import { formats } from "./formats.js";
import { type Peers, shareOut } from "./share_out.js";

/** Names that a message lists. */
const MOST_NAMED = 5;

/** Something to open and the format that reads it. */
export interface Found {
  readonly path: string;
  readonly format: CellFormat;
}

/**
 * Paths that a name with wildcards stands for, without the files that go with others and hold no cells; a path that is there
 * is itself, whatever its characters. Throws `DATA_NOT_FOUND`.
 */
export async function expandPath(path: string): Promise<string[]> {
  const paths = await (isS3(path) ? expandBucket(path) : expandLocal(path));
  if (paths.length === 0) {
    const what = isS3(path) ? "no object of the bucket" : "no file";
    throw new DdscError(
      "DATA_NOT_FOUND",
      `${path}: ${what} fits this pattern; check it, and quote it for the shell`,
      { file: path },
    );
  }
  if (paths.length === 1 && paths[0] === path) return paths;
  const cells = paths.filter((name) => !isCompanion(basename(name)));
  // A pattern for nothing else means them: opening says what they are.
  return cells.length > 0 ? cells : paths;
}

async function expandBucket(pattern: string): Promise<string[]> {
  const { expandS3 } = await import("../io/s3/pattern.js");
  return expandS3(pattern);
}

async function expandLocal(path: string): Promise<string[]> {
  if (isUrl(path) || !isGlob(path)) return [path];
  const isThere = await readContent(path).then(
    () => true,
    () => false,
  );
  return isThere ? [path] : expandGlob(path);
}

/** How cells are looked for. */
interface Search {
  readonly options: OpenOptions;
  readonly peers: Peers;
  /** Folders that were looked at and are still to be searched: long ones take a while to list. */
  readonly listed: Map<string, Content>;
}

/** What a path holds that is of no format. */
const FOLDER = -1;
const NO_CELLS = -2;

/**
 * What paths hold: each cells of one format, or a folder with those in it and in the folders below. Every file is looked at by one of
 * the peers. Throws `DATA_FORMAT` for a path without cells, and as `readContent`.
 */
export async function findCells(
  paths: readonly string[],
  options: OpenOptions,
  peers: Peers,
): Promise<Found[]> {
  const search: Search = { options, peers, listed: new Map() };
  const looks = await lookAt(paths, peers, async (path) => {
    const content = await readContent(path);
    const format = await formatOf(content, options);
    if (format === FOLDER && content.kind !== "folder") throw notCells(path, describeContent(content));
    if (format === FOLDER) search.listed.set(path, content);
    return format;
  });
  const found: Found[] = [];
  for (const [i, path] of paths.entries()) {
    const format = formats[looks[i] ?? FOLDER];
    // Not by spreading: a folder may hold a million.
    if (format === undefined) for (const member of await findIn(path, search)) found.push(member);
    else found.push({ path, format });
  }
  return found;
}

/** What a folder that is no format's own holds. */
async function findIn(path: string, search: Search): Promise<Found[]> {
  const found = await findBelow(path, search, new Set());
  // Any text may look like a table: it is one only where nothing else is.
  const sure = found.filter((member) => member.format.isDoubtful !== true);
  if (found.length > 0) return sure.length > 0 ? sure : found;
  const content = await readContent(path);
  const names = cellNames(content);
  const listed = names.slice(0, MOST_NAMED).join(", ") + (names.length > MOST_NAMED ? ", ..." : "");
  throw notCells(
    path,
    names.length === 0 ? describeContent(content) : `a folder without files of cells (${listed})`,
  );
}

/** The same in the order of names; `above` has the folders on the way, which links may lead back to. */
async function findBelow(path: string, search: Search, above: ReadonlySet<string>): Promise<Found[]> {
  const { options, peers, listed } = search;
  const here = await realpath(path);
  if (above.has(here)) return [];
  const way = new Set(above).add(here);
  const content = listed.get(path) ?? (await readContent(path));
  listed.delete(path);
  const members = cellNames(content).map((name) => join(path, name));
  const looks = await lookAt(members, peers, async (member) => {
    const content = await readContent(member);
    const format = await formatOf(content, options);
    const isOther = (await formats[format]?.holdsCells?.(member)) === false;
    if (format !== FOLDER && !isOther) return format;
    if (content.kind !== "folder") return NO_CELLS;
    listed.set(member, content);
    return FOLDER;
  });
  const found: Found[] = [];
  for (const [i, member] of members.entries()) {
    const format = formats[looks[i] ?? NO_CELLS];
    if (format !== undefined) found.push({ path: member, format });
    else if (looks[i] === FOLDER) for (const below of await findBelow(member, search, way)) found.push(below);
  }
  return found;
}

/** What `look` says of each path, each of which one of the peers looks at: number of its format, or one of those below 0. */
async function lookAt(
  paths: readonly string[],
  peers: Peers,
  look: (path: string) => Promise<number>,
): Promise<Int8Array> {
  const looks = new Int8Array(paths.length);
  let at = 0;
  for await (const told of shareOut(paths, look, peers)) {
    for (const numbers of told) {
      looks.set(numbers, at);
      at += numbers.length;
    }
  }
  return looks;
}

/** Number of the format of what is there, `FOLDER` where there is none. */
async function formatOf(content: Content, options: OpenOptions): Promise<number> {
  for (const [number, format] of formats.entries()) if (await format.matches(content, options)) return number;
  return FOLDER;
}

/** The names in a folder that may be of cells. */
function cellNames(content: Content): string[] {
  return content.kind === "folder" ? content.names.filter((name) => !isCompanion(name)) : [];
}

function isCompanion(name: string): boolean {
  return formats.some((format) => format.isCompanion?.(name.toLowerCase()) === true);
}

function notCells(path: string, found: string): DdscError {
  // Of what is here, no format of addresses can be meant.
  const supported = formats.filter(({ onlyAddresses }) => onlyAddresses !== true).map(({ name }) => name);
  return new DdscError("DATA_FORMAT", `${path}: ${found}; supported are ${supported.join(", ")}`, {
    file: path,
  });
}
