import type { Cluster } from "../../cluster/cluster.js";
import { requireSame } from "../../cluster/same.js";
import { afterReport } from "./after_report.js";
import type { Output } from "./output.js";

/**
 * Does work as one of the processes of a cluster: begins as `beginTogether`, and leaves once all have done theirs. What fails here tells the
 * others, so that they end, too.
 */
export async function workTogether<T>(
  options: object,
  output: Output,
  cluster: Cluster,
  does: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await beginTogether(options, output, cluster, does);
    const result = await work();
    await cluster.leave();
    return result;
  } catch (error) {
    afterReport(() => cluster.fail(error));
    throw error;
  }
}

/**
 * Begins work that the processes of a cluster do together, of which rank 0 speaks: says who takes part. Throws `CLUSTER_MISMATCH` where a
 * rank was given other options.
 *
 * @param does what they do: "train one model"
 */
export async function beginTogether(
  options: object,
  output: Output,
  cluster: Cluster,
  does: string,
): Promise<void> {
  if (cluster.world === 1) return;
  if (cluster.rank > 0) output.silence();
  await introduce(options, output, cluster, does);
}

/** As `beginTogether` for several processes that each speak of what they do. */
export async function introduce(
  options: object,
  output: Output,
  cluster: Cluster,
  does: string,
): Promise<void> {
  if (cluster.rank === 0) output.line(`cluster  ${cluster.description}`);
  if (cluster.rank === 0) for (const note of cluster.notes) output.note(note);
  await requireSame(
    cluster,
    JSON.stringify(options),
    `was given other options than rank 0: processes that ${does} together need the same; DDSC_CLUSTER=off makes every process do all by itself`,
  );
}
