import { realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { DdscError } from "../../base/errors.js";
import type { Content } from "../io/content.js";
import { describeContent, isUrl, readContent } from "../io/content.js";
import { mapFewAtOnce } from "../io/few_at_once.js";
import { expandGlob, isGlob } from "../io/glob.js";
import { isS3 } from "../io/s3/address.js";
import type { OpenOptions } from "../sources/cells.js";
import type { CellFormat } from "../sources/format.js";
import { formats } from "./formats.js";

/** Names that a message lists. */
const MOST_NAMED = 5;

/** Something to open and the format that reads it. */
export interface Found {
  readonly path: string;
  readonly format: CellFormat;
}

type Folder = Extract<Content, { kind: "folder" }>;

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

/**
 * What one path holds: cells of one format, or a folder with those in it and in the folders below. Throws `DATA_FORMAT` where
 * there are none, and as `readContent`.
 */
export async function findCells(path: string, options: OpenOptions): Promise<Found[]> {
  const content = await readContent(path);
  const format = await formatOf(content, options);
  if (format !== undefined) return [{ path, format }];
  if (content.kind !== "folder") throw notCells(path, describeContent(content));
  const found = await findBelow(content, options, new Set());
  // Any text may look like a table: it is one only where nothing else is.
  const sure = found.filter((member) => member.format.isDoubtful !== true);
  if (found.length > 0) return sure.length > 0 ? sure : found;
  const names = cellNames(content);
  const listed = names.slice(0, MOST_NAMED).join(", ") + (names.length > MOST_NAMED ? ", ..." : "");
  throw notCells(
    path,
    names.length === 0 ? describeContent(content) : `a folder without files of cells (${listed})`,
  );
}

/** What a folder that is no format's own holds, in the order of names; `above` has the folders on the way, which links may lead back to. */
async function findBelow(folder: Folder, options: OpenOptions, above: ReadonlySet<string>): Promise<Found[]> {
  const here = await realpath(folder.path);
  if (above.has(here)) return [];
  const way = new Set(above).add(here);
  const members = await mapFewAtOnce(cellNames(folder), async (name) => {
    const content = await readContent(join(folder.path, name));
    const format = await formatOf(content, options);
    const isOther = (await format?.holdsCells?.(content.path)) === false;
    return { content, format: isOther ? undefined : format };
  });
  const found: Found[] = [];
  for (const { content, format } of members) {
    if (format !== undefined) found.push({ path: content.path, format });
    else if (content.kind === "folder") found.push(...(await findBelow(content, options, way)));
  }
  return found;
}

async function formatOf(content: Content, options: OpenOptions): Promise<CellFormat | undefined> {
  for (const format of formats) if (await format.matches(content, options)) return format;
  return undefined;
}

/** The names in a folder that may be of cells. */
function cellNames(folder: Folder): string[] {
  return folder.names.filter((name) => !isCompanion(name));
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
