import { DdscError } from "../../base/errors.js";
import { publicAddress } from "../io/addresses.js";
import { atOnceOf, mapFewAtOnce, openFewAtOnce } from "../io/few_at_once.js";
import type { OpenOptions } from "../sources/cells.js";
import { ConcatenatedSource } from "../sources/concatenate.js";
import type { CellSource } from "../sources/source.js";
import { expandPath, findCells } from "./find_cells.js";
import { sharedNameNotes } from "./shared_names.js";
import { withoutRepeats } from "./without_repeats.js";

/**
 * Opens what paths name: a file or folder of any format, an address, a folder of such files, a pattern with wildcards; or
 * several of these as one source, what is named twice once. Throws as `openCells`.
 */
export async function openPaths(given: readonly string[], asked: OpenOptions): Promise<CellSource> {
  // From here on names have no password any more.
  const paths = given.map(publicAddress);
  const { geneTable } = asked;
  const options = geneTable === undefined ? asked : { ...asked, geneTable: publicAddress(geneTable) };
  const named = (await Promise.all(paths.map(expandPath))).flat();
  const { found, notes } = await withoutRepeats(
    (await mapFewAtOnce(named, (path) => findCells(path, options))).flat(),
  );
  const [first] = found;
  if (first === undefined) {
    throw new DdscError("DATA_NOT_FOUND", "no file of cells was named; give a path", { argument: "path" });
  }
  if (found.length === 1) {
    const source = await first.format.open(first.path, options);
    source.addNotes(notes);
    return source;
  }
  const sources = await openFewAtOnce(
    found,
    ({ path, format }) => format.open(path, options),
    atOnceOf(found.map(({ path }) => path)),
  );
  try {
    const name =
      paths.length === 1 && paths[0] !== undefined ? paths[0] : `${first.path} and ${found.length - 1} more`;
    return new ConcatenatedSource(sources, name, [...notes, ...(await sharedNameNotes(sources))]);
  } catch (error) {
    for (const source of sources) source[Symbol.dispose]();
    throw error;
  }
}
