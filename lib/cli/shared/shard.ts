import { env } from "node:process";
import { readLaunch } from "../../cluster/launch.js";
import { namesArrayTask, parseShard, type Shard } from "../../data/shards/shard.js";
import { checkOutFile } from "./out_path.js";
import { UsageError } from "./usage_error.js";

/**
 * The shard of `--shard`; without it, or with auto outside of an array job, of several processes that a launcher started (mpirun, srun) each
 * does its own. Undefined for a process alone. Throws a UsageError, `SHARD_UNKNOWN`, `CLUSTER_ENVIRONMENT`.
 */
export function shardOf({ shard }: { readonly shard: string | undefined }): Shard | undefined {
  if (shard === undefined || (shard === "auto" && !namesArrayTask(env))) {
    const { rank, world } = readLaunch(env);
    if (world > 1) return { index: rank + 1, count: world };
    if (shard === undefined) return undefined;
  }
  const parsed = parseShard(shard, env);
  if (parsed !== undefined) return parsed;
  throw new UsageError(
    `expected K/N with K from 1 to N, auto, or auto/N for --shard but received "${shard}"`,
  );
}

/** Before any work: as `checkOutFile`; what a shard writes is looked at later, as its part may be there. */
export async function checkOutOrPart(options: {
  readonly out: string;
  readonly overwrite: boolean;
  readonly shard: string | undefined;
}): Promise<void> {
  if (shardOf(options) === undefined) await checkOutFile(options.out, options.overwrite);
}

/** What is said of a part that another run of the same command has written. */
export function partIsThere(out: string): string {
  return `${out}: this part is there already`;
}
