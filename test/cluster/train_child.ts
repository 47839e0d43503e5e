/**
 * Begins or resumes the run in the folder given, with the steps given, of ranks, of counts, of counts each rank with a share of the
 * optimizer, or of counts of more cells than fit in one window, in lanes or not, as one of the processes of a cluster. The last word:
 * "seldom" validates and saves every 20 and 50 steps, where it is the steps that matter; "throw" and "weights" spoil rank 1. Rank 0
 * prints each step and what carried the sums, every rank its process id, and leaves why it failed in a file beside the run: launchers
 * that end a job drop what is printed meanwhile. Run by training.test.ts.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { joinCluster } from "../../lib/cluster/join.js";
import { exists } from "../../lib/model/model_files.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallCountModel } from "../training/small_counts.js";
import { smallModel, smallOptions, smallSource } from "../training/small_run.js";

const [folder = "", steps = "", values = "ranks", how = ""] = process.argv.slice(2);
const cluster = await joinCluster();
process.stdout.write(`rank ${cluster.rank} pid ${process.pid}\n`);
const stop = new AbortController();
process.on("SIGUSR1", () => stop.abort());
try {
  const begun = await exists(join(folder, "last"));
  await cluster.barrier();
  const made = values === "ranks" ? smallModel : smallCountModel;
  const many = values === "windows" || values === "lanes";
  const options = {
    ...smallOptions,
    ...(many ? { batchCells: 700, lengthBuckets: false } : {}),
    ...(values === "lanes" ? { lanes: 6 } : {}),
    ...(how === "seldom"
      ? {
          validation: { ...smallOptions.validation, every: 20 },
          checkpoint: { ...smallOptions.checkpoint, every: 50 },
        }
      : {}),
  };
  const share = values === "shares" ? { optimizerShare: { index: cluster.rank, count: cluster.world } } : {};
  const trainer = begun
    ? await Trainer.resume(folder, { cluster, ...share })
    : new Trainer(await made(share), { ...options, folder, cluster });
  const fitting = trainer.fit(smallSource(0, many ? 12_000 : undefined), {
    steps: Number(steps),
    signal: stop.signal,
  });
  for await (const { step, loss, validation } of fitting) {
    const line = JSON.stringify({ step, loss, nll: validation?.nll });
    if (cluster.rank === 0) process.stdout.write(`step ${line}\n`);
    if (how === "throw" && cluster.rank === 1 && step === 3) throw new Error("a defect of this rank alone");
    if (how === "weights" && cluster.rank === 1 && step === 3)
      await trainer.model.native.write("weights", 0, Float32Array.of(1));
  }
  if (cluster.rank === 0)
    process.stdout.write(`cluster ${[cluster.description, ...cluster.notes].join("; ")}\n`);
  process.stdout.write(`rank ${cluster.rank} ${trainer.end} at ${trainer.state.step}\n`);
  await cluster.leave();
} catch (error) {
  writeFileSync(`${folder}.rank${cluster.rank}`, (error as Error).message);
  cluster.fail(error);
  process.exitCode = 1;
}
