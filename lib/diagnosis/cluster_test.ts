import type { Cluster } from "../cluster/cluster.js";
import { rankDevice } from "../cluster/rank_device.js";
import { NativeDenoiser } from "../native/denoiser.js";

/** What the collectives of a cluster gave. */
export interface ClusterTest {
  readonly description: string;
  /** What users should know of it. */
  readonly notes: readonly string[];
  readonly world: number;
  /** Whether gathering, adding up numbers and adding up a gradient, on the CPU and on the ranks' GPUs, give what they should. */
  readonly agrees: boolean;
  /** Milliseconds of one gathering of a few bytes. */
  readonly gatherMilliseconds: number;
}

const ROUNDS = 20;

/** Tests the collectives of a cluster, on every rank at once; undefined for a process alone. Throws as `Cluster`. */
export async function testCluster(cluster: Cluster): Promise<ClusterTest | undefined> {
  const { communicator, rank, world } = cluster;
  if (communicator === undefined) return undefined;
  const device = rankDevice("auto", cluster) ?? "auto";
  await cluster.useDevice(device);
  const devices = (await cluster.gather(device.startsWith("cuda"))).every(Boolean)
    ? ["cpu", device]
    : ["cpu"];
  const ranks = await cluster.gather(rank);
  const start = performance.now();
  for (let round = 0; round < ROUNDS; round++) await cluster.gather(round);
  const gatherMilliseconds = (performance.now() - start) / ROUNDS;
  const expected = (world * (world + 1)) / 2;
  const [sum] = await cluster.sum([rank + 1]);
  let isSummed = true;
  for (const each of devices) {
    const sums = await gradientSum(rank + 1, each, (model) => model.sumGradient(communicator));
    isSummed &&= sums.every((value) => value === expected);
  }
  const own = ranks.every((value, place) => value === place) && sum === expected && isSummed;
  const agrees = !(await cluster.agree(!own));
  return { description: cluster.description, notes: cluster.notes, world, agrees, gatherMilliseconds };
}

/** The gradient of a small model, all of it `value`, after `change`. */
async function gradientSum(
  value: number,
  device: string,
  change: (model: NativeDenoiser) => Promise<void>,
): Promise<Float32Array> {
  using model = new NativeDenoiser({
    config: {
      vocabSize: 5,
      geneVocabSize: 8,
      hidden: 16,
      blocks: 1,
      heads: 1,
      condDim: 16,
      dropout: 0,
      timeConditioning: true,
      rotary: true,
    },
    dtype: "fp32",
    device,
    trainable: true,
  });
  await model.write("gradient", 0, new Float32Array(model.bufferSize).fill(value));
  await change(model);
  return model.read("gradient", 0, model.bufferSize);
}
