import { env } from "node:process";
import { parseShard, type Shard } from "../../data/shards/shard.js";
import { checkOutFile } from "./out_path.js";
import { UsageError } from "./usage_error.js";

/** The shard of `--shard`; undefined without it. Throws a UsageError, `SHARD_UNKNOWN`. */
export function shardOf({ shard }: { readonly shard: string | undefined }): Shard | undefined {
  if (shard === undefined) return undefined;
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
