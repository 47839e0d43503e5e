import { createHash } from "node:crypto";
import { lstat } from "node:fs/promises";
import { DdscError } from "../../base/errors.js";
import type { UnstructuredValue } from "../anndata/write_uns.js";
import { fingerprintOf } from "../sources/fingerprint.js";
import type { CellSource } from "../sources/source.js";
import { isPartOf } from "./join_parts.js";
import { partPath, type Shard, shardBounds } from "./shard.js";

/** The part of a whole that a shard writes; of no shard the whole. */
export interface PartToWrite {
  /** Where it goes. */
  readonly out: string;
  /** What it says of itself; undefined for a whole. */
  readonly part: { readonly shard: Shard; readonly cells: number; readonly job: string } | undefined;
  /** Its cells among those of the whole: first .. end - 1. */
  readonly first: number;
  readonly end: number;
  /** Whether it is there already, complete: nothing is to be done. */
  readonly isThere: boolean;
}

/** What is to be written. */
interface WorkOfShard {
  readonly out: string;
  readonly shard: Shard | undefined;
  readonly overwrite: boolean;
  /** Cells of the whole. */
  readonly cells: number;
  /** Works out a digest of the model. */
  readonly digest?: () => Promise<string>;
  readonly source: CellSource | undefined;
  /** All that the values depend on, beside model and cells. */
  readonly settings: Readonly<Record<string, UnstructuredValue>>;
}

/** Where a task writes: `out`, or with a shard the name of its part. Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE` for a shard that is none. */
export function pathOf(out: string, shard: Shard | undefined): string {
  return shard === undefined ? out : partPath(out, shard);
}

/**
 * What a task writes. Parts of the same work have the same name of the job: it is a digest of the settings, the model's weights and
 * the source. Throws `ARGUMENT_RANGE` for more shards than cells, `FILE_EXISTS` where something else than this very part is at its place and is not
 * to be replaced.
 */
export async function partToWrite(work: WorkOfShard): Promise<PartToWrite> {
  const { shard, overwrite, cells, digest, source, settings } = work;
  const out = pathOf(work.out, shard);
  if (shard === undefined) return { out, part: undefined, first: 0, end: cells, isThere: false };
  if (shard.count > cells) {
    throw new DdscError(
      "ARGUMENT_RANGE",
      `there are ${cells} cells for ${shard.count} shards; use at most ${cells}`,
      { argument: "shard" },
    );
  }
  const hash = createHash("sha256").update(JSON.stringify([settings, cells]));
  if (source !== undefined) hash.update(JSON.stringify([source.cellCount, await fingerprintOf(source)]));
  if (digest !== undefined) hash.update(await digest());
  const part = { shard, cells, job: hash.digest("hex") };
  const task = { out, part, ...shardBounds(cells, shard) };
  if (overwrite || !(await lstat(out).then(Boolean, () => false))) return { ...task, isThere: false };
  if (await isPartOf(out, { ...shard, job: part.job })) return { ...task, isThere: true };
  throw new DdscError(
    "FILE_EXISTS",
    `${out}: already exists and is not this part of this work; choose another out, or pass overwrite`,
    { file: out, argument: "out" },
  );
}
