import { DdscError } from "../base/errors.js";
import type { NativeCommunicator, NativeNccl } from "../native/communicator.js";
import type { Cluster } from "./cluster.js";

/** What sums the gradients that GPUs hold. */
export type DeviceSums =
  | { readonly kind: "nccl"; readonly version: string; readonly file: string }
  /** Gradients go through the memory of the host; on GPUs, why. */
  | { readonly kind: "host"; readonly why: string | undefined };

/** What a rank brings: no GPU, no NCCL and why, or which. */
type Offer =
  | { readonly kind: "cpu" }
  | { readonly kind: "none"; readonly why: string }
  | ({ readonly kind: "nccl" } & NativeNccl);

/**
 * Has NCCL sum the gradients of models on this device, where every rank has a GPU of its own and the library. Every rank calls this. Throws
 * `CLUSTER_NCCL` where ranks have different versions, naming both.
 *
 * @param device as `chooseDevice` takes it, or as a model describes its own
 * @param seconds that joining may take
 */
export async function joinNccl(
  cluster: Pick<Cluster, "rank" | "gather">,
  communicator: NativeCommunicator,
  device: string,
  seconds: number,
): Promise<DeviceSums> {
  const gpu = /^cuda(:\d+)?/.exec(device)?.[0];
  const offers = await cluster.gather(await offer(communicator, gpu));
  if (offers.every(({ kind }) => kind === "cpu")) return host(undefined);
  let first: NativeNccl | undefined;
  for (const [rank, offered] of offers.entries()) {
    if (offered.kind === "cpu") return host(`rank ${rank} has no GPU`);
    if (offered.kind === "none") return host(`rank ${rank}: ${offered.why}`);
    first ??= offered;
    if (offered.version !== first.version) {
      throw new DdscError(
        "CLUSTER_NCCL",
        `rank 0 has NCCL ${first.version} (${first.file}) and rank ${rank} NCCL ${offered.version} (${offered.file}): all need the same; ` +
          "DDSC_NCCL_LIBRARY names the file, or is off for gradients to go through the host",
      );
    }
  }
  if (first === undefined || gpu === undefined) return host(undefined);
  // Where one fails, all go on without: each says how it went.
  const made = await outcomeOf(async () =>
    cluster.rank === 0 ? Buffer.from(await communicator.newNcclId()).toString("hex") : "",
  );
  const [id] = await cluster.gather(made);
  if (id === undefined || id.why !== undefined) return host(`rank 0: ${id?.why}`);
  const bytes = Buffer.from(id.value, "hex");
  const joined = await cluster.gather(await outcomeOf(() => communicator.joinNccl(gpu, bytes, seconds)));
  const failed = joined.findIndex(({ why }) => why !== undefined);
  if (failed < 0) return { kind: "nccl", version: first.version, file: first.file };
  communicator.dropNccl();
  return host(`rank ${failed}: ${joined[failed]?.why}`);
}

async function offer(communicator: NativeCommunicator, gpu: string | undefined): Promise<Offer> {
  if (gpu === undefined) return { kind: "cpu" };
  const { DDSC_NCCL_LIBRARY: given } = process.env;
  if (given === "off") return { kind: "none", why: "DDSC_NCCL_LIBRARY is off" };
  const names = given === undefined || given === "" ? ["libnccl.so.2"] : [given];
  const found = await outcomeOf(() => communicator.findNccl(names));
  return found.why === undefined ? { kind: "nccl", ...found.value } : { kind: "none", why: found.why };
}

function host(why: string | undefined): DeviceSums {
  return { kind: "host", why };
}

type Outcome<T> = { readonly value: T; readonly why?: never } | { readonly why: string };

/** What it gives, or why it fails of itself: who lost a peer ends. */
async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof DdscError) || error.code === "CLUSTER_PEER_LOST") throw error;
    return { why: error.text };
  }
}
