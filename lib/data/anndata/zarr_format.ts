import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CellFormat } from "../sources/format.js";

/** AnnData stores in zarr, version 2 or 3, in a folder or a zip archive, with or without shards. */
export const zarrStore: CellFormat = {
  name: "AnnData zarr (a folder or a .zip)",
  matches: (content) => {
    if (content.kind === "file")
      return content.head.subarray(0, 4).equals(Buffer.from("PK\x03\x04", "latin1"));
    if (content.kind !== "folder") return false;
    // Names that begin with a dot are not among the content's.
    return content.names.includes("zarr.json") || existsSync(join(content.path, ".zgroup"));
  },
  // The library takes longer to load than everything else: who reads other formats does not wait for it.
  open: async (path, options) => (await import("./zarr.js")).openZarr(path, options),
};
