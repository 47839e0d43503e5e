import { anndataFormat } from "../anndata/endings.js";
import type { AnnDataStream } from "../anndata/write.js";
import type { StreamedMatrix } from "../anndata/write_matrices.js";
import type { UnstructuredValue } from "../anndata/write_uns.js";
import { Hdf5File } from "../hdf5/file.js";
import type { Hierarchy } from "../hierarchy.js";
import { type Shard, shardBounds } from "./shard.js";

/** What a part says of itself, in uns/ddsc_part. */
export interface PartRecord {
  /** Which shard it is. */
  readonly index: number;
  readonly count: number;
  /** Its cells among those of all parts: first .. end - 1 of `cells`. */
  readonly first: number;
  readonly end: number;
  readonly cells: number;
  /** Names the work that it is a part of: parts of one output have the same. */
  readonly job: string;
  /** Names of the matrices over cells in the order in which one process writes them, which a file does not tell. */
  readonly matrices: readonly string[];
  /** What uns of the whole is to hold. */
  readonly uns: Readonly<Record<string, UnstructuredValue>>;
}

/** A part, as far as it is held while others are looked at. */
export interface Part {
  readonly path: string;
  readonly record: PartRecord;
  readonly matrices: ReadonlyMap<string, StreamedMatrix>;
}

/** Opens the file or store of a part. */
export async function openPart(path: string): Promise<Hierarchy> {
  if (anndataFormat(path) !== "zarr") return Hdf5File.open(path);
  const { ZarrFile } = await import("../zarr/file.js");
  return ZarrFile.open(path);
}

const PLACE = "ddsc_part";
/** A record names options. */
const MOST_CHARACTERS = 2 ** 20;

/** What goes to a file: the contents of the whole, or with a shard those of its part, which gets its record. */
export function withRecord(
  contents: AnnDataStream,
  part: { readonly shard: Shard; readonly cells: number; readonly job: string } | undefined,
): AnnDataStream {
  if (part === undefined) return contents;
  const { uns = {} } = contents;
  const { shard, cells, job } = part;
  const matrices = Object.keys(contents.matrices);
  const record: PartRecord = { ...shard, ...shardBounds(cells, shard), cells, job, matrices, uns };
  return { ...contents, uns: { ...uns, [PLACE]: [JSON.stringify(record)] } };
}

/** The record of a file; undefined where it is no part of anything. */
export async function readPartRecord(file: Hierarchy): Promise<PartRecord | undefined> {
  const path = `/uns/${PLACE}`;
  if ((await file.kind(path)) !== "array") return undefined;
  const array = await file.array(path);
  if (array.kind !== "string" || array.shape.length !== 1 || array.shape[0] !== 1) return undefined;
  const [text = ""] = await array.strings(0, 1);
  return text.length > MOST_CHARACTERS ? undefined : parse(text);
}

function parse(text: string): PartRecord | undefined {
  let json: Partial<Record<keyof PartRecord, unknown>> | null;
  try {
    json = JSON.parse(text) as typeof json;
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { index, count, first, end, cells, job, matrices, uns } = json;
  const isCounts = [index, count, first, end, cells].every(
    (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  );
  const isNames = Array.isArray(matrices) && matrices.every((name) => typeof name === "string");
  if (!isCounts || !isNames || typeof job !== "string" || typeof uns !== "object" || uns === null)
    return undefined;
  // Checked: these are its members.
  const record = json as PartRecord;
  const bounds = shardBounds(record.cells, record);
  const fits = record.index >= 1 && record.index <= record.count;
  return fits && bounds.first === record.first && bounds.end === record.end ? record : undefined;
}
