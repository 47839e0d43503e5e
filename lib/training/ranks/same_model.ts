import { createHash } from "node:crypto";
import { DdscError } from "../../base/errors.js";
import type { Cluster } from "../../cluster/cluster.js";
import type { Denoiser } from "../../model/denoiser.js";

/** Floats that are read at a time. */
const AT_ONCE = 1 << 20;

/**
 * Throws `CLUSTER_DIVERGED`, on every rank, unless all ranks of a cluster have the same model: the same weights, bit for bit, and the
 * same base. In a cluster of one nothing is read.
 */
export async function requireSameModel(
  cluster: Cluster,
  model: Pick<Denoiser, "native" | "base">,
  step: number,
): Promise<void> {
  if (cluster.world === 1) return;
  const own = await fingerprint(model);
  const all = await cluster.gather(own);
  const other = all.findIndex((each) => each !== all[0]);
  if (other < 0) return;
  const when = step === 0 ? "before the first step" : `after step ${step}`;
  throw new DdscError(
    "CLUSTER_DIVERGED",
    `${when} rank ${other} does not have the model of rank 0: their data or options differ, or they compute with different kernels; give all ` +
      "the same files, options and DDSC_ISA. The last checkpoint stands",
    { step },
  );
}

/** SHA-256 of the weights and the base. */
async function fingerprint({ native, base }: Pick<Denoiser, "native" | "base">): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < native.bufferSize; at += AT_ONCE) {
    const values = await native.read("weights", at, Math.min(AT_ONCE, native.bufferSize - at));
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  for (const values of base === undefined ? [] : [base.share, base.size]) {
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest("hex");
}
