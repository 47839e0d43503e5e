import { createHash } from "node:crypto";
import type { CellSource } from "./source.js";

/** Cells whose names tell sources apart: few, as reading one may mean reading its part. */
const NAMED_CELLS = 16;

/** What tells a source apart without reading it all. */
export interface SourceFingerprint {
  /** SHA-256 (hex) of the gene identifiers and the names of some cells, evenly spread. */
  readonly digest: string;
  /** SHA-256 (hex) of the bounds of the source's parts, on which the order of training depends. */
  readonly parts: string;
}

/** Works out the fingerprint of a source. */
export async function fingerprintOf(source: CellSource): Promise<SourceFingerprint> {
  const { cellCount, partBounds } = source;
  const hash = createHash("sha256");
  for (const { id } of source.genes) hash.update(`${id}\n`);
  hash.update("\n");
  const named = Math.min(cellCount, NAMED_CELLS);
  const rows = Int32Array.from({ length: named }, (_, i) =>
    named === 1 ? 0 : Math.floor((i * (cellCount - 1)) / (named - 1)),
  );
  for (const id of await source.cellIds(rows)) hash.update(`${id}\n`);
  const bytes = new Uint8Array(partBounds.buffer, partBounds.byteOffset, partBounds.byteLength);
  return { digest: hash.digest("hex"), parts: createHash("sha256").update(bytes).digest("hex") };
}
