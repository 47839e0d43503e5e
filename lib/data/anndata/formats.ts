import { existsSync } from "node:fs";
import { join } from "node:path";
import { Hdf5File } from "../hdf5/file.js";
import type { CellFormat } from "../sources/format.js";
import { openAnnData } from "./reader.js";

/** AnnData files; other HDF5 files end here, too, and are told apart by their contents. */
export const h5ad: CellFormat = {
  name: "AnnData (.h5ad)",
  takes: ["layer", "raw"],
  matches: (content) => content.kind === "file" && content.hdf5,
  holdsCells,
  open: (path, options) => openAnnData(path, options, Hdf5File.open),
};

/** AnnData stores in zarr, version 2 or 3, in a folder or a zip archive, with or without shards. */
export const zarrStore: CellFormat = {
  name: "AnnData zarr (a folder or a .zip)",
  takes: ["layer", "raw"],
  matches: (content) => {
    if (content.kind === "file")
      return content.head.subarray(0, 4).equals(Buffer.from("PK\x03\x04", "latin1"));
    if (content.kind !== "folder") return false;
    // Names that begin with a dot are not among the content's.
    return content.names.includes("zarr.json") || existsSync(join(content.path, ".zgroup"));
  },
  open: async (path, options) => {
    // The library takes longer to load than everything else: who reads other formats does not wait for it.
    const { ZarrFile } = await import("../zarr/file.js");
    return openAnnData(path, options, ZarrFile.open);
  },
};

/** Whether an HDF5 file has any part of AnnData, or cannot be read: opening tells what is wrong with it then. */
async function holdsCells(path: string): Promise<boolean> {
  try {
    using file = await Hdf5File.open(path);
    const kinds = await Promise.all(["/obs", "/var", "/X"].map((part) => file.kind(part)));
    return kinds.some((kind) => kind !== "missing");
  } catch {
    return true;
  }
}
