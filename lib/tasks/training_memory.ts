import { DdscError } from "../base/errors.js";
import type { CellSource } from "../data/sources/source.js";
import { type MachineMemory, machineMemory } from "../model/memory.js";
import type { ModelDescription } from "../model/model_files.js";
import { estimateTrainingMemory, type TrainingMemory } from "../training/memory.js";
import type { TrainerOptions } from "../training/options.js";
import type { TaskHooks } from "./hooks.js";

/** What a training will hold, and what there is. */
export interface CheckedMemory {
  readonly needed: TrainingMemory;
  readonly machine: MachineMemory;
  /** What to change where it is too much. */
  readonly remedy: string;
}

/**
 * Works out what a training will hold before any of it is taken. Throws `TRAIN_MEMORY` where it is more than the GPU, or
 * the machine (or the process's limit), has, `DEVICE_*`, and the errors of data and tokenizer.
 */
export async function checkMemory(
  model: Pick<ModelDescription, "config" | "dtype" | "tokenizer">,
  source: CellSource,
  options: TrainerOptions,
  device: string | undefined,
  { nameOf }: Pick<TaskHooks, "nameOf">,
): Promise<CheckedMemory> {
  const needed = await estimateTrainingMemory(model, source, options, device);
  const machine = machineMemory(device);
  const batch = options.batchTokens === undefined ? "batchCells" : "batchTokens";
  const remedies = [`a smaller ${nameOf(batch)}`, `a smaller ${nameOf("preset")}`];
  if (options.recompute !== true && needed.total > machine.available) {
    const recomputed = await estimateTrainingMemory(model, source, { ...options, recompute: true }, device);
    if (recomputed.total <= machine.total)
      remedies.unshift(`${nameOf("recompute")} (${gibibytes(recomputed.total)})`);
  }
  const remedy = `try ${remedies.slice(0, -1).join(", ")} or ${remedies.at(-1)}`;
  if (needed.total > machine.total) {
    throw new DdscError(
      "TRAIN_MEMORY",
      `training would take up to ${gibibytes(needed.total)} of memory, and ${machine.owner} has ` +
        `${gibibytes(machine.total)}; ${remedy}`,
    );
  }
  return { needed, machine, remedy };
}

/** `1.25 GiB`. */
export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
