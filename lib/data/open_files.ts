import { join } from "node:path";
import { DdscError } from "../errors.js";
import { ConcatenatedSource } from "./concatenate.js";
import { describeContent, isUrl, readContent } from "./content.js";
import type { CellFormat, Content } from "./format.js";
import { formats } from "./formats.js";
import { expandGlob, isGlob } from "./glob.js";
import { inTurns, openInTurns } from "./in_turns.js";
import type { CellSource, OpenOptions } from "./source.js";

/** Names that a message lists. */
const MOST_NAMED = 5;

/** Something to open and the format that reads it. */
interface Found {
  readonly path: string;
  readonly format: CellFormat;
}

/**
 * Opens what paths name: a file or folder of any format, an address, a folder of such files, a pattern with wildcards; or
 * several of these as one source. Throws as `openCells`.
 */
export async function openPaths(paths: readonly string[], options: OpenOptions): Promise<CellSource> {
  const named = (await Promise.all(paths.map(expand))).flat();
  const found = (await inTurns(named, (path) => findCells(path))).flat();
  const [first] = found;
  if (first !== undefined && found.length === 1) return first.format.open(first.path, options);
  if (first === undefined) {
    throw new DdscError("DATA_NOT_FOUND", "no file of cells was named; give a path", { argument: "path" });
  }
  const sources = await openInTurns(found, ({ path, format }) => format.open(path, options));
  try {
    const name =
      paths.length === 1 && paths[0] !== undefined ? paths[0] : `${first.path} and ${found.length - 1} more`;
    return new ConcatenatedSource(sources, name);
  } catch (error) {
    for (const source of sources) source[Symbol.dispose]();
    throw error;
  }
}

/** Paths that a name with wildcards stands for; a path that is there is itself, whatever its characters. */
async function expand(path: string): Promise<string[]> {
  if (isUrl(path) || !isGlob(path)) return [path];
  const isThere = await readContent(path).then(
    () => true,
    () => false,
  );
  if (isThere) return [path];
  const paths = await expandGlob(path);
  if (paths.length > 0) return paths;
  throw new DdscError(
    "DATA_NOT_FOUND",
    `${path}: no file fits this pattern; check it, and quote it for the shell`,
    {
      file: path,
    },
  );
}

/** What one path holds: cells of one format, or a folder of files with cells. */
async function findCells(path: string): Promise<Found[]> {
  const content = await readContent(path);
  const format = await formatOf(content);
  if (format !== undefined) return [{ path, format }];
  if (content.kind !== "folder") throw notCells(path, describeContent(content));
  const names = content.names.filter((name) => !isCompanion(name));
  const members = await inTurns(names, async (name): Promise<Found | undefined> => {
    const member = join(path, name);
    const own = await readContent(member);
    const memberFormat = await formatOf(own);
    return memberFormat === undefined ? undefined : { path: member, format: memberFormat };
  });
  const found = members.filter((member) => member !== undefined);
  // Any text may look like a table: it is one only where nothing else is.
  const sure = found.filter((member) => member.format.isDoubtful !== true);
  if (found.length > 0) return sure.length > 0 ? sure : found;
  const listed = names.slice(0, MOST_NAMED).join(", ") + (names.length > MOST_NAMED ? ", ..." : "");
  throw notCells(
    path,
    names.length === 0 ? describeContent(content) : `a folder without files of cells (${listed})`,
  );
}

async function formatOf(content: Content): Promise<CellFormat | undefined> {
  for (const format of formats) if (await format.matches(content)) return format;
  return undefined;
}

function isCompanion(name: string): boolean {
  return formats.some((format) => format.isCompanion?.(name.toLowerCase()) === true);
}

function notCells(path: string, found: string): DdscError {
  const supported = formats.map(({ name }) => name).join(", ");
  return new DdscError("DATA_FORMAT", `${path}: ${found}; supported are ${supported}`, { file: path });
}
