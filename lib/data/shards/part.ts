import { createHash, type Hash } from "node:crypto";
import { lstat } from "node:fs/promises";
import { DdscError } from "../../base/errors.js";
import { type AnnDataStream, writeAnnData } from "../anndata/write.js";
import type { UnstructuredValue } from "../anndata/write_uns.js";
import type { OpenOptions } from "../sources/cells.js";
import type { SourceDescriptor } from "../sources/descriptor.js";
import { fingerprintOf } from "../sources/fingerprint.js";
import { type CellSource, descriptorOf } from "../sources/source.js";
import { isPartOf } from "./join_parts.js";
import { withRecord } from "./part_record.js";
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
 * the source, with what it was opened by. Throws `ARGUMENT_RANGE` for more shards than cells, `FILE_EXISTS` where something else than this very part is at its place and is not
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
  if (source !== undefined) {
    hash.update(JSON.stringify([source.cellCount, await fingerprintOf(source)]));
    addOrigin(hash, descriptorOf(source));
  }
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

/** Writes the part, with its record, unless it is there already. Throws as `writeAnnData`. */
export async function writePart(
  { out, part, isThere }: PartToWrite,
  contents: AnnDataStream,
  overwrite: boolean,
): Promise<void> {
  if (!isThere) await writeAnnData(out, withRecord(contents, part), { overwrite });
}

/**
 * Adds what sources of the same names differ by: the layer that a file is read from, say, which rows were chosen, the seed of a
 * simulation. Not where files are: tasks on other machines may find them at another place.
 */
function addOrigin(hash: Hash, descriptor: SourceDescriptor | undefined): void {
  switch (descriptor?.kind) {
    case "file":
    case "shared":
      addOptions(hash, descriptor.options);
      return;
    case "files":
      for (const _ of descriptor.paths) addOptions(hash, descriptor.options);
      return;
    case "subset":
      hash.update(descriptor.rows);
      addOrigin(hash, descriptor.source);
      return;
    case "concatenated":
      for (const source of descriptor.sources) addOrigin(hash, source);
      return;
    case "simulated":
      hash.update(JSON.stringify(descriptor.options));
      return;
    case "pool":
    case "memory":
    case undefined:
  }
}

function addOptions(hash: Hash, { geneTable: _, ...options }: OpenOptions): void {
  // The table of genes, a file as well, shows in their names.
  hash.update(JSON.stringify(options));
}
