import { checkKind } from "../../base/arguments.js";
import { checkWhole, DdscError } from "../../base/errors.js";
import { rowRange } from "../sources/parts.js";

/** A share of some cells, as the task of an array job does one: the `index`th of `count`, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Shards at most: names of parts have five digits. */
export const MOST_SHARDS = 99_999;

/** Checks a shard that a caller gave. Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE`. */
export function checkShard(shard: Shard): Shard {
  checkKind("shard", shard, "object");
  const count = checkWhole("shard.count", shard.count, 1, MOST_SHARDS);
  const index = checkWhole("shard.index", shard.index, 1, count);
  return { index, count };
}

/** Bounds of a shard among `cells` cells: neighbours, as equal in number as can be; empty where there are more shards than cells. */
export function shardBounds(
  cells: number,
  { index, count }: Shard,
): { readonly first: number; readonly end: number } {
  return { first: Math.floor((cells * (index - 1)) / count), end: Math.floor((cells * index) / count) };
}

/** The rows of a shard; of `rows`, or of all `cells`. */
export function shardRows(cells: number, shard: Shard, rows?: Int32Array): Int32Array {
  const { first, end } = shardBounds(rows?.length ?? cells, shard);
  return rows === undefined ? rowRange(first, end) : rows.slice(first, end);
}

/** Where the part of a shard goes: "out.h5ad" gives "out.part-003-of-100.h5ad". As many digits as `count` has, three at least. */
export function partPath(out: string, shard: Shard): string {
  checkKind("out", out, "text");
  const { index, count } = checkShard(shard);
  const [, stem = out, ending = ""] = /^(.*?)(\.h5ad|\.zarr[\\/]*)?$/s.exec(out) ?? [];
  const digits = Math.max(3, String(count).length);
  return `${stem}.part-${String(index).padStart(digits, "0")}-of-${String(count).padStart(digits, "0")}${ending}`;
}

/** Variables that tell the task of an array job which it is. */
const INDEX = "SLURM_ARRAY_TASK_ID";
const COUNT = "SLURM_ARRAY_TASK_COUNT";
const FIRST = "SLURM_ARRAY_TASK_MIN";
const LAST = "SLURM_ARRAY_TASK_MAX";
const COMPLETION = "JOB_COMPLETION_INDEX";

/** Whether the variables are those of a task of an array job. */
export function namesArrayTask(variables: Readonly<Record<string, string | undefined>>): boolean {
  return [INDEX, COMPLETION].some((name) => (variables[name] ?? "") !== "");
}

/**
 * A shard as text: "3/100", or "auto" for what an array job says of the task (Slurm: SLURM_ARRAY_TASK_ID of an array without gaps),
 * "auto/100" where its number of tasks is not among the variables (Kubernetes: JOB_COMPLETION_INDEX). Undefined where the text is none of
 * these. Throws `SHARD_UNKNOWN` where the variables do not say, or contradict each other.
 */
export function parseShard(
  text: string,
  variables: Readonly<Record<string, string | undefined>>,
): Shard | undefined {
  const [, which, of] = /^(auto|\d{1,5})(?:\/(\d{1,5}))?$/.exec(text) ?? [];
  if (which === undefined) return undefined;
  const count = of === undefined ? undefined : Number(of);
  if (which === "auto") return ofArrayJob(variables, count);
  const index = Number(which);
  return count === undefined || index < 1 || index > count ? undefined : { index, count };
}

function ofArrayJob(
  variables: Readonly<Record<string, string | undefined>>,
  asked: number | undefined,
): Shard {
  const number = (name: string): number | undefined => {
    const value = variables[name];
    if (value === undefined || value === "") return undefined;
    if (/^\d{1,9}$/.test(value)) return Number(value);
    throw unknown(`${name} is ${JSON.stringify(value.slice(0, 40))}, no whole number`);
  };
  const task = number(INDEX);
  const completion = number(COMPLETION);
  if (task !== undefined && completion !== undefined)
    throw unknown(`both ${INDEX} and ${COMPLETION} are set`);
  if (task !== undefined) {
    const [first, last, tasks] = [number(FIRST), number(LAST), number(COUNT)];
    if (first === undefined || last === undefined || tasks === undefined)
      throw unknown(`${INDEX} is set, but not all of ${FIRST}, ${LAST} and ${COUNT}`);
    if (last - first + 1 !== tasks)
      throw unknown(
        `the array has ${tasks} tasks from ${first} to ${last}: give it one without gaps, as --array=1-${tasks}`,
      );
    return within(task - first + 1, asked ?? tasks);
  }
  if (completion === undefined) throw unknown(`neither ${INDEX} nor ${COMPLETION} is set`);
  if (asked === undefined) throw unknown(`${COMPLETION} does not say of how many: write auto/N`);
  return within(completion + 1, asked);
}

function within(index: number, count: number): Shard {
  if (count >= 1 && count <= MOST_SHARDS && index >= 1 && index <= count) return { index, count };
  throw unknown(`the variables make it shard ${index} of ${count}`);
}

function unknown(why: string): DdscError {
  return new DdscError(
    "SHARD_UNKNOWN",
    `which shard this is cannot be told: ${why}; run it as a task of an array job, or give the shard as 3/100`,
    { argument: "shard" },
  );
}
