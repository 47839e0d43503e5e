import { DdscError } from "../base/errors.js";
import type { CellSource } from "../data/sources/source.js";
import { type MachineMemory, machineMemory } from "../model/memory.js";
import type { ModelDescription } from "../model/model_files.js";
import { estimateTrainingMemory, type TrainingMemory } from "../training/memory.js";
import type { TrainerOptions } from "../training/options.js";
import { type Output, withThousands } from "./output.js";

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
  device = "auto",
): Promise<CheckedMemory> {
  const needed = await estimateTrainingMemory(model, source, options, device);
  const machine = machineMemory(device);
  const batchFlag = options.batchTokens === undefined ? "--batch" : "--batch-tokens";
  const remedies = [`a smaller ${batchFlag}`, "a smaller --preset"];
  if (options.recompute !== true && needed.total > machine.available) {
    const recomputed = await estimateTrainingMemory(model, source, { ...options, recompute: true }, device);
    if (recomputed.total <= machine.total) remedies.unshift(`--recompute (${gibibytes(recomputed.total)})`);
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

/** Says how much memory training takes at most, and warns where that is more than is free. */
export function describeMemory({ needed, machine, remedy }: CheckedMemory, output: Output): void {
  const { parameters, activations, scratch, total, batch } = needed;
  output.line(
    `memory ${gibibytes(total)} at most: ${gibibytes(parameters)} parameters, ` +
      `${gibibytes(activations + scratch)} for a batch of ${withThousands(batch.tokens)} tokens; ` +
      `${gibibytes(machine.available)} available`,
  );
  if (total > machine.available) {
    output.note(`memory: this may be more than is free now; ${remedy}, or end what else uses it`);
  }
}

/** `1.25 GiB`. */
function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
