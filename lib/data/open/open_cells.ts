import { isDeepStrictEqual } from "node:util";
import { wrongType } from "../../base/errors.js";
import { atOnceOf, openFewAtOnce } from "../io/few_at_once.js";
import type { OpenOptions } from "../sources/cells.js";
import { openSharedCells } from "../sources/compact_source.js";
import { ConcatenatedSource } from "../sources/concatenate.js";
import type { SourceDescriptor } from "../sources/descriptor.js";
import { MemorySource } from "../sources/memory.js";
import { SimulatedSource } from "../sources/simulated_source.js";
import type { CellSource } from "../sources/source.js";
import { subsetSource } from "../sources/subset.js";
import { openFiles, openPaths, openPool } from "./open_files.js";
import { checkPeers, type Peers } from "./share_out.js";

/**
 * Opens cells: a file, a folder or an http(s) address of any format, found by content and not by name; a folder of such
 * files; a pattern with wildcards (`data/train-*.parquet`); or several of these, which are then one source over the union of
 * their genes (see `ConcatenatedSource`).
 *
 * Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`, `DATA_FORMAT` (naming what was found and what is supported) and the
 * errors of the format's reader: see `openH5ad`; `ARGUMENT_TYPE` for what is no path. Of many files of Parquet and Arrow some are
 * open at a time; one that is opened again and is no longer as it was ends in `DATA_CHANGED`.
 *
 * @param peers processes that open the same together, each making the same calls: what `joinCluster` gave. Each opens its share of many
 *   files of Parquet or Arrow, to tell the others how many cells it has. Default: this one opens all
 */
export async function openCells(
  path: string | readonly string[],
  options: OpenOptions = {},
  peers?: Peers,
): Promise<CellSource> {
  const paths: readonly unknown[] = Array.isArray(path) ? path : [path];
  for (const one of paths) {
    if (typeof one !== "string") throw wrongType("path", one, "a path, an address or a list of these");
  }
  return openPaths(typeof path === "string" ? [path] : path, options, { peers: checkPeers(peers) });
}

/** Opens the source again that `CellSource.descriptor` described. Throws as `openCells` does. @param peers as there */
export async function openSource(descriptor: SourceDescriptor, peers?: Peers): Promise<CellSource> {
  switch (descriptor.kind) {
    case "file":
      return openCells(descriptor.path, descriptor.options, peers);
    case "files":
      return openFiles(descriptor, { peers });
    case "pool":
      return openPool(descriptor);
    case "shared":
      return openSharedCells(descriptor);
    case "memory":
      return new MemorySource(descriptor.cells);
    case "simulated":
      return new SimulatedSource(descriptor.options);
    case "subset": {
      const whole = await openSource(descriptor.source, peers);
      return subsetSource(whole, descriptor.rows, () => whole[Symbol.dispose]());
    }
    case "concatenated": {
      const { sources, name } = descriptor;
      const files = sources.flatMap((source) => (source.kind === "file" ? [source] : []));
      const options = files[0]?.options ?? {};
      const paths = files.map(({ path }) => path);
      // As files that are opened again were recorded once.
      if (
        files.length === sources.length &&
        files.every((file) => isDeepStrictEqual(file.options, options))
      ) {
        return openFiles({ kind: "files", name, paths, options }, { peers });
      }
      const open = (source: SourceDescriptor) => openSource(source);
      return new ConcatenatedSource(await openFewAtOnce(sources, open, atOnceOf(paths)), name);
    }
  }
}
