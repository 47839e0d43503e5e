import { DdscError } from "../base/errors.js";
import type { Cluster } from "./cluster.js";

/**
 * Throws `CLUSTER_MISMATCH` on every rank where one has another `value` than rank 0.
 *
 * @param was what is wrong with the other rank: "was given other options than rank 0: ..."
 */
export async function requireSame(cluster: Cluster, value: string, was: string): Promise<void> {
  if (cluster.world === 1) return;
  const all = await cluster.gather(value);
  const other = all.findIndex((each) => each !== all[0]);
  if (other >= 0) throw new DdscError("CLUSTER_MISMATCH", `rank ${other} ${was}`);
}
