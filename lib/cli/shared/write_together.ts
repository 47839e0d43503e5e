import { rm } from "node:fs/promises";
import { env } from "node:process";
import type { Cluster } from "../../cluster/cluster.js";
import { joinCluster } from "../../cluster/join.js";
import { readLaunch } from "../../cluster/launch.js";
import { rankDevice } from "../../cluster/rank_device.js";
import { isConnected } from "../../cluster/transports.js";
import { anndataFormat } from "../../data/anndata/endings.js";
import type { Peers } from "../../data/open/share_out.js";
import { type JoinedParts, joinParts, partPath } from "../../data/shards/index.js";
import { afterReport } from "./after_report.js";
import type { CommandContext, JsonResult } from "./command.js";
import { checkOutFile } from "./out_path.js";
import { type Output, withThousands } from "./output.js";
import { introduce, workTogether } from "./together.js";

/** Options of commands whose work is shared out. */
interface SharedOptions {
  readonly out: string;
  readonly overwrite: boolean;
  readonly shard: string | undefined;
  readonly device?: string | undefined;
}

/** Opens cells, with the processes that open the same ones where there are any; what comes after a process may do by itself. */
export type OpenTogether = <S>(open: (peers?: Peers) => Promise<S>) => Promise<S>;

/**
 * Does the work of a command that writes `out`. Processes that can find one another (MPI, or `MASTER_ADDR`) open cells together, without
 * --shard, and each writes its part beside `out`. Where that is a zarr store they join the parts to it, and remove them: a part that is
 * there already, of a run that was stopped, is kept.
 *
 * @param work writes the part of this process (see `shardOf`), or all; opens its cells by `openTogether`, once
 */
export async function writeTogether<T extends SharedOptions>(
  options: T,
  { output, signal }: CommandContext,
  work: (options: T, openTogether: OpenTogether) => Promise<JsonResult>,
): Promise<JsonResult> {
  const { out, overwrite, shard } = options;
  if (shard !== undefined || !isConnected(readLaunch(env))) return work(options, (open) => open());
  const cluster = await joinCluster();
  if (anndataFormat(out) !== "zarr") return writePart(options, output, cluster, work);
  const joined = await workTogether(options, output, cluster, "write one store", async () => {
    await checkOutFile(out, overwrite);
    await work(withRankDevice(options, cluster), (open) => open(cluster));
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

/** Writes the part of one process, which is on its own once cells are open: parts take their time, and one that fails ends no other. */
async function writePart<T extends SharedOptions>(
  options: T,
  output: Output,
  cluster: Cluster,
  work: (options: T, openTogether: OpenTogether) => Promise<JsonResult>,
): Promise<JsonResult> {
  try {
    await introduce(options, output, cluster, "read the same cells");
    return await work(withRankDevice(options, cluster), async (open) => {
      const opened = await open(cluster);
      await cluster.leave();
      return opened;
    });
  } catch (error) {
    afterReport(() => cluster.fail(error));
    throw error;
  }
}

function withRankDevice<T extends SharedOptions>(options: T, cluster: Cluster): T {
  const device = rankDevice(options.device, cluster);
  return device === undefined ? options : { ...options, device };
}

/** What was joined, for people. */
export function describeJoined({ out, cells, genes, parts, chunks }: JoinedParts): string {
  const text = `${out}: ${withThousands(cells)} cells x ${withThousands(genes)} genes of ${withThousands(parts)} parts`;
  if (chunks === undefined) return text;
  return `${text}; ${withThousands(chunks.linked)} chunks taken over, ${withThousands(chunks.written)} written`;
}
