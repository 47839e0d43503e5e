import { DdscError } from "../../base/errors.js";
import { FilePool } from "../files/file_pool.js";
import { type Members, OpenMembers, PooledMembers } from "../files/members.js";
import { arraysIn, arraysOf, fileListOf, outlinesOf } from "../files/pool_arrays.js";
import { publicAddress } from "../io/addresses.js";
import { atOnceOf, openFewAtOnce } from "../io/few_at_once.js";
import type { CheckIdentity } from "../io/random_access_open.js";
import type { OpenOptions } from "../sources/cells.js";
import { ConcatenatedSource } from "../sources/concatenate.js";
import type { FilesDescriptor, PooledFiles } from "../sources/descriptor.js";
import type { FileSource } from "../sources/file_source.js";
import { PackedStrings } from "../sources/packed_strings.js";
import type { CellSource } from "../sources/source.js";
import { expandPath, type Found, findCells } from "./find_cells.js";
import { formats } from "./formats.js";
import { MachineFile } from "./machine_file.js";
import { outlineFiles } from "./outline_files.js";
import { noPeers, type Peers, workOfAll } from "./share_out.js";
import { sharedNameNotes } from "./shared_names.js";
import { withoutRepeats } from "./without_repeats.js";

/** How cells are opened, whatever they are. */
export interface Opening {
  /** Who opens them together. */
  readonly peers?: Peers | undefined;
  /** See `FilePool`. */
  readonly mostOpen?: number;
  /** Files from which on the ranks of a machine hold what is known of them together; default 4,096. */
  readonly sharedFrom?: number;
}

/** Of fewer files what is known takes less than a megabyte or two. */
const SHARED_FROM = 4096;

/**
 * Opens what paths name: a file or folder of any format, an address, a folder of such files, a pattern with wildcards; or
 * several of these as one source, what is named twice once. Throws as `openCells`.
 */
export async function openPaths(
  given: readonly string[],
  asked: OpenOptions,
  opening: Opening = {},
): Promise<CellSource> {
  // From here on names have no password any more.
  const paths = given.map(publicAddress);
  const { geneTable } = asked;
  const options = geneTable === undefined ? asked : { ...asked, geneTable: publicAddress(geneTable) };
  const named: string[] = [];
  for (const path of paths) for (const one of await expandPath(path)) named.push(one);
  const { peers = noPeers } = opening;
  const { found, notes } = await withoutRepeats(await findCells(named, options, peers));
  const [first] = found;
  if (first === undefined) {
    throw new DdscError("DATA_NOT_FOUND", "no file of cells was named; give a path", { argument: "path" });
  }
  if (found.length === 1) {
    const source = await first.format.open(first.path, options);
    source.addNotes([...notes, ...unusedNotes(found, options)]);
    return source;
  }
  const name =
    paths.length === 1 && paths[0] !== undefined ? paths[0] : `${first.path} and ${found.length - 1} more`;
  return openTogether(found, options, opening, name, async (members) => {
    // One rank reads the names.
    const told = await workOfAll(peers, async () => (peers.rank === 0 ? sharedNameNotes(members) : []));
    return [...notes, ...unusedNotes(found, options), ...told.flat()];
  });
}

/** Says which of the options that were given no format of the files takes. */
function unusedNotes(found: readonly Found[], options: OpenOptions): string[] {
  const formats = [...new Set(found.map(({ format }) => format))];
  const taken = new Set<string>(["geneColumn", ...formats.flatMap(({ takes }) => takes)]);
  const isGiven = (value: unknown) =>
    value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  return Object.entries(options)
    .filter(([name, value]) => isGiven(value) && !taken.has(name))
    .map(([name]) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`))
    .map(
      (words) =>
        `the option "${words}" is not for ${formats.map(({ name }) => name).join(", ")}, and is not used`,
    );
}

/** Opens the files of a recipe. Throws as `openCells`. */
export async function openFiles(
  { name, paths, options }: FilesDescriptor,
  opening: Opening = {},
): Promise<CellSource> {
  const found = await findCells(paths.map(publicAddress), options, opening.peers ?? noPeers);
  return openTogether(found, options, opening, name, async () => []);
}

/** The files that another thread has opened: one is opened here when it is read. */
export function openPool({ name, options, traits, arrays: given }: PooledFiles): CellSource {
  const arrays = "descriptor" in given ? arraysIn(given) : given;
  const pool = new FilePool(fileListOf(arrays, options), openAs);
  return new ConcatenatedSource(new PooledMembers(pool, outlinesOf(arrays, traits)), name);
}

/** Opens files as one source of this name, with the notes that `look` gives. */
async function openTogether(
  found: readonly Found[],
  options: OpenOptions,
  opening: Opening,
  name: string,
  look: (members: Members) => Promise<readonly string[]>,
): Promise<CellSource> {
  const members = found.every(({ format }) => format.opensAgain === true)
    ? await openPooled(found, options, opening)
    : new OpenMembers(await openAll(found, options));
  try {
    return new ConcatenatedSource(members, name, await look(members));
  } catch (error) {
    members[Symbol.dispose]();
    throw error;
  }
}

function openAll(found: readonly Found[], options: OpenOptions): Promise<CellSource[]> {
  const open = ({ path, format }: Found): Promise<CellSource> => format.open(path, options);
  return openFewAtOnce(found, open, atOnceOf(found.map(({ path }) => path)));
}

async function openPooled(
  found: readonly Found[],
  options: OpenOptions,
  { peers = noPeers, mostOpen, sharedFrom = SHARED_FROM }: Opening,
): Promise<Members> {
  const paths = new PackedStrings();
  for (const { path } of found) paths.push(Buffer.from(path));
  const numbers = Uint8Array.from(found, ({ format }) => formats.indexOf(format));
  const pool = new FilePool({ paths: paths.packed(), formats: numbers, options }, openAs, mostOpen);
  const isShared = peers.world > 1 && found.length >= sharedFrom;
  let file: MachineFile | undefined;
  try {
    file = isShared ? await MachineFile.make(peers) : undefined;
    const names = found.map(({ path }) => path);
    const outlines = await outlineFiles(pool, names, peers, file);
    if (file === undefined) return new PooledMembers(pool, outlines);
    const arrays = await file.share(() => arraysOf(pool.held, outlines));
    pool.moveTo(fileListOf(arrays, options));
    return new PooledMembers(pool, outlinesOf(arrays, outlines.traits), file);
  } catch (error) {
    file?.[Symbol.dispose]();
    pool[Symbol.dispose]();
    throw error;
  }
}

async function openAs(
  path: string,
  format: number,
  options: OpenOptions,
  check: CheckIdentity,
): Promise<FileSource> {
  const known = formats[format];
  if (known === undefined) throw new RangeError(`there is no format ${format}`);
  return known.open(path, options, check);
}
