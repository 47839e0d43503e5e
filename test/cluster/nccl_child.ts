/**
 * The only rank of a job that NCCL joins: computes a gradient on the GPU, has it summed, then clears it and does so again; prints how each
 * call ended, and whether the model goes after that. Run by nccl.test.ts.
 */
import { tokenizeRows } from "../../lib/batching/index.js";
import { NativeCommunicator } from "../../lib/native/communicator.js";
import type { NativeLossInput } from "../../lib/native/types.js";
import { RankTask } from "../../lib/training/rank_task.js";
import { smallModel, smallSource } from "../training/small_run.js";

const communicator = new NativeCommunicator("tcp", 20);
const peers = [{ hosts: ["127.0.0.1"], port: communicator.port }];
await communicator.join({ rank: 0, token: "0".repeat(64), seconds: 20, peers });
await communicator.findNccl([process.env.DDSC_NCCL_LIBRARY ?? ""]);
await communicator.joinNccl("cuda:0", await communicator.newNcclId(), 20);

const model = await smallModel({ device: "cuda:0", dtype: "fp32" });
const { native } = model;
const { batch } = await tokenizeRows(smallSource(), model.tokenizer, Int32Array.of(0, 1, 2));
const { inputs } = await new RankTask(model).stepInput([batch], { seed: 2, step: 1 });
const [input] = inputs as readonly NativeLossInput[];
const options = { gradientScale: 0.01, dropoutSeed: 7, step: 1, communicator };

async function say(call: string, work: Promise<unknown>): Promise<void> {
  const outcome = await work.then(
    () => "done",
    (error: Error) => error.message,
  );
  process.stdout.write(`${call}: ${outcome}\n`);
}
// With a word: a peer is lost while the first call waits for it.
if (process.argv[2] === "lost")
  setTimeout(() => communicator.giveUp("CLUSTER_PEER_LOST", "rank 1 is gone"), 500);
for (const _ of [1, 2]) {
  await native.clearGradient();
  await say("accumulate", native.accumulate(input!, options));
  await say("sum", native.sumGradient(communicator));
}
model[Symbol.dispose]();
process.stdout.write("disposed\n");
