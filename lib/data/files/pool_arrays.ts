import { type MappedFile, mapArrays } from "../io/mapped_arrays.js";
import type { OpenOptions } from "../sources/cells.js";
import type { FileList } from "./file_list.js";
import type { Outlines, SourceTraits } from "./outlines.js";

/** All that is known of many files, file by file: see `FileList`, `PackedIdentities` and `Outlines`. */
export type PoolArrays = Readonly<{
  pathBytes: Uint8Array;
  pathEnds: Float64Array;
  formats: Uint8Array;
  sizes: Float64Array;
  hashes: Uint32Array;
  traitsOf: Uint32Array;
  firstRow: Float64Array;
  partBounds: Float64Array;
}>;

/** The arrays of a list of which identities are known, and of outlines. */
export function arraysOf(
  { paths, formats, identities }: Required<FileList>,
  { traitsOf, firstRow, partBounds }: Outlines,
): PoolArrays {
  const { sizes, hashes } = identities;
  return {
    ...{ pathBytes: paths.bytes, pathEnds: paths.ends },
    ...{ formats, sizes, hashes, traitsOf, firstRow, partBounds },
  };
}

/** Those that a file holds. Throws `DATA_UNREADABLE`. */
export function arraysIn(file: MappedFile): PoolArrays {
  return mapArrays(file) as PoolArrays;
}

export function fileListOf(arrays: PoolArrays, options: OpenOptions): Required<FileList> {
  const { pathBytes, pathEnds, formats, sizes, hashes } = arrays;
  return { paths: { bytes: pathBytes, ends: pathEnds }, formats, options, identities: { sizes, hashes } };
}

export function outlinesOf(arrays: PoolArrays, traits: readonly SourceTraits[]): Outlines {
  const { traitsOf, firstRow, partBounds } = arrays;
  return { traits, traitsOf, firstRow, partBounds };
}
