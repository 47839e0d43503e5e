import { join } from "node:path";
import type { Cluster } from "../cluster/cluster.js";
import type { Denoiser } from "../model/denoiser.js";
import { type BufferInFile, readBuffers, writeBuffers } from "../model/weights.js";
import { momentsOf } from "./ranks/shared_optimizer.js";
import type { RunFolder } from "./run_folder.js";
import { type TrainingRecord, writeRecord } from "./state.js";

/** Name of the file of AdamW's moments. */
const OPTIMIZER_FILE = "optimizer.safetensors";

const MOMENTS = [
  { buffer: "firstMoment", prefix: "first_moment." },
  { buffer: "secondMoment", prefix: "second_moment." },
] as const satisfies readonly BufferInFile[];

/**
 * Saves a checkpoint: the model's own files (a checkpoint is a model), the optimizer's moments and `training.json`.
 * `last` then names it, `best` too if it is the best so far, and old checkpoints go. Throws `FILE_WRITE` (full disk,
 * read-only folder, ...), with the checkpoints before it as they were. Of a cluster, on rank 0; the others `helpToSave`.
 */
export async function saveCheckpoint(
  run: RunFolder,
  model: Denoiser,
  record: TrainingRecord,
  cluster: Cluster,
): Promise<void> {
  const { step, best } = record.state;
  await run.add(step, async (folder) => {
    await model.writeFiles(folder);
    await writeBuffers(momentsOf(cluster, model.native), join(folder, OPTIMIZER_FILE), MOMENTS);
    await writeRecord(folder, record);
  });
  await run.pointTo("last", step);
  if (best !== null) await run.pointTo("best", best.step);
  await run.prune(record.settings.checkpoint.keep, best === null ? [step] : [step, best.step]);
}

/** What the other ranks do while rank 0 saves: give it their shares of the moments, where they hold shares. Throws as `Cluster`. */
export async function helpToSave(cluster: Cluster, { native }: Pick<Denoiser, "native">): Promise<void> {
  if (native.optimizerShare.count === 1) return;
  const { parameters, read } = momentsOf(cluster, native);
  for (const { buffer } of MOMENTS)
    for (const { offset, size } of parameters) await read(buffer, offset, size);
}

/** Reads the optimizer's moments of a checkpoint into a model; see `readBuffers` for errors. */
export async function loadOptimizer(checkpoint: string, model: Denoiser): Promise<void> {
  for (const { buffer, prefix } of MOMENTS) {
    await readBuffers(model.native, join(checkpoint, OPTIMIZER_FILE), [buffer], { prefix });
  }
}
