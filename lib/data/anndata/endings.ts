/** What the ending of a name to write to says; apart from the writer, which takes a while to load. */

/** Formats that AnnData is written in. */
export type AnnDataFormat = "h5ad" | "zarr";

/** The format that a name's ending asks for; undefined where it ends in neither .h5ad nor .zarr. */
export function anndataFormat(path: string): AnnDataFormat | undefined {
  if (path.endsWith(".h5ad")) return "h5ad";
  return /\.zarr[\\/]*$/.test(path) ? "zarr" : undefined;
}

/** Endings of what cells are kept in that nothing is written as. */
const OTHER_FORMATS =
  /\.(arrow|csv|feather|gz|h5|h5mu|h5seurat|hdf5|loom|mtx|npz|parquet|rds|tsv|txt|xlsx|zip)$/i;

/** The ending of a path that promises a format which is not written, such as ".csv". */
export function otherEnding(path: string): string | undefined {
  return OTHER_FORMATS.exec(path.replace(/\/+$/, ""))?.[0];
}
