import { nativeDevices } from "../native/devices.js";
import type { Cluster } from "./cluster.js";

/**
 * The device of a rank of a cluster, as `chooseDevice` takes it: for "auto" and "cuda" a GPU for each rank of the machine, in the order
 * of ranks, over again where there are fewer; what is named is every rank's.
 */
export function rankDevice(
  device: string | undefined,
  { world, localRank }: ClusterPlace,
): string | undefined {
  if (world === 1 || (device !== undefined && device !== "auto" && device !== "cuda")) return device;
  const gpus = nativeDevices().filter((found) => found.kind === "cuda" && found.problem === undefined);
  return gpus.length === 0 ? device : gpus[localRank % gpus.length]?.name;
}

/** Which process of a cluster it is. */
type ClusterPlace = Pick<Cluster, "world" | "localRank">;
