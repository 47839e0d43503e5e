import { rm } from "node:fs/promises";
import { env } from "node:process";
import { joinCluster } from "../../cluster/join.js";
import { readLaunch } from "../../cluster/launch.js";
import { rankDevice } from "../../cluster/rank_device.js";
import { isConnected } from "../../cluster/transports.js";
import { anndataFormat } from "../../data/anndata/write.js";
import { type JoinedParts, joinParts, partPath } from "../../data/shards/index.js";
import type { CommandContext, JsonResult } from "./command.js";
import { checkOutFile } from "./out_path.js";
import { withThousands } from "./output.js";
import { workTogether } from "./together.js";

/** Options of commands whose work is shared out. */
interface SharedOptions {
  readonly out: string;
  readonly overwrite: boolean;
  readonly shard: string | undefined;
  readonly device?: string | undefined;
}

/**
 * Does the work of a command that writes `out`. Where several processes can find one another (MPI, or `MASTER_ADDR`), without --shard, and `out` is a zarr store, each
 * writes its part beside it, and together they join these to the store, and remove them: a part that is there already, of a run that was
 * stopped, is kept.
 *
 * @param work writes the part of this process (see `shardOf`), or all
 */
export async function writeTogether<T extends SharedOptions>(
  options: T,
  context: CommandContext,
  work: (options: T) => Promise<JsonResult>,
): Promise<JsonResult> {
  const { out, overwrite, shard, device } = options;
  if (shard !== undefined || anndataFormat(out) !== "zarr" || !isConnected(readLaunch(env))) {
    return work(options);
  }
  const { output, signal } = context;
  const cluster = await joinCluster();
  const joined = await workTogether(options, output, cluster, "write one store", async () => {
    await checkOutFile(out, overwrite);
    const own = rankDevice(device, cluster);
    await work(own === undefined ? options : { ...options, device: own });
    const { world: count } = cluster;
    const parts = Array.from({ length: count }, (_, i) => partPath(out, { index: i + 1, count }));
    await cluster.barrier();
    const whole = await joinParts(parts, out, { overwrite, signal, cluster });
    if (cluster.rank === 0) for (const part of parts) await rm(part, { recursive: true });
    return whole;
  });
  output.line(describeJoined(joined));
  return { ...joined };
}

/** What was joined, for people. */
export function describeJoined({ out, cells, genes, parts, chunks }: JoinedParts): string {
  const text = `${out}: ${withThousands(cells)} cells x ${withThousands(genes)} genes of ${withThousands(parts)} parts`;
  if (chunks === undefined) return text;
  return `${text}; ${withThousands(chunks.linked)} chunks taken over, ${withThousands(chunks.written)} written`;
}
