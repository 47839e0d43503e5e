import { DdscError } from "../base/errors.js";
import type { CellSource } from "../data/sources/source.js";
import { modelConfig, type PresetName } from "../model/config.js";
import { chooseDevice } from "../model/device.js";
import { estimateMemory, type MachineMemory, machineMemory } from "../model/memory.js";
import type { DType, OptimizerShare } from "../native/types.js";
import { CountTokens, QuantileRanks } from "../tokenizer/index.js";
import { SPECIAL_GENES } from "../tokenizer/ragged_batch.js";
import { estimateTrainingMemory, type TrainedModel, type TrainingMemory } from "../training/memory.js";
import type { TrainerOptions } from "../training/options.js";
import type { TaskHooks } from "./hooks.js";

/** What the program comes to hold beside the model and what it holds already: batches, the data's parts, compiled code. */
const BESIDE = 64 * 2 ** 20;

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
  model: TrainedModel,
  source: CellSource,
  options: TrainerOptions,
  device: string | undefined,
  { nameOf }: Pick<TaskHooks, "nameOf">,
): Promise<CheckedMemory> {
  const needed = await estimateTrainingMemory(model, source, options, device);
  const machine = shareOf(machineMemory(device), device, options.cluster?.localWorld ?? 1);
  const { room, beside } = roomFor(machine, device);
  const batch = options.batchTokens === undefined ? "batchCells" : "batchTokens";
  const remedies = [`a smaller ${nameOf(batch)}`, `a smaller ${nameOf("preset")}`];
  if (options.recompute !== true && needed.total > machine.available) {
    const recomputed = await estimateTrainingMemory(model, source, { ...options, recompute: true }, device);
    if (recomputed.total <= room) remedies.unshift(`${nameOf("recompute")} (${gibibytes(recomputed.total)})`);
  }
  const { rank = 0, world = 1 } = options.cluster ?? {};
  if (world > 1 && model.optimizerShare === undefined && needed.total > machine.available) {
    const share = { index: rank, count: world };
    const shared = await estimateTrainingMemory({ ...model, optimizerShare: share }, source, options, device);
    if (shared.total <= room) remedies.unshift(`${nameOf("optimizerShare")} (${gibibytes(shared.total)})`);
  }
  const remedy = `try ${remedies.slice(0, -1).join(", ")} or ${remedies.at(-1)}`;
  if (needed.total > room)
    throw tooMuch(`up to ${gibibytes(needed.total)} of memory${beside}`, machine, remedy);
  return { needed, machine, remedy };
}

/**
 * Throws `TRAIN_MEMORY` where not even the smallest training of such a model fits, before the data are opened, which takes
 * memory, too.
 */
export async function checkLeastMemory(options: {
  readonly preset: PresetName;
  readonly values: "counts" | "ranks";
  readonly device: string | undefined;
  readonly dtype: DType | undefined;
  readonly optimizerShare?: OptimizerShare | undefined;
}): Promise<void> {
  const { preset, device = "auto", dtype, optimizerShare } = options;
  const strategy = options.values === "counts" ? new CountTokens() : new QuantileRanks();
  const config = modelConfig({
    preset,
    values: strategy.values,
    geneVocabSize: SPECIAL_GENES.length + 1,
    ...(options.values === "counts" ? { conditions: [] } : {}),
  });
  const batch = { cells: 1, tokens: 2, longest: 2, maskedShare: 0.5 };
  const given = dtype === undefined ? {} : { dtype };
  const least = await estimateMemory(config, { batch, device, optimizerShare, ...given });
  const machine = machineMemory(device);
  const { room, beside } = roomFor(machine, device);
  if (least.total <= room) return;
  throw tooMuch(`${gibibytes(least.total)} of memory at least${beside}`, machine, "try a smaller --preset");
}

/** What one of the ranks of a machine has of its memory. */
function shareOf(machine: MachineMemory, device: string | undefined, ranks: number): MachineMemory {
  if (ranks === 1 || chooseDevice(device).name !== "cpu") return machine;
  const [total, available] = [Math.floor(machine.total / ranks), Math.floor(machine.available / ranks)];
  return { total, available, owner: `each of ${ranks} processes on ${machine.owner}` };
}

/** What is left for a training, and what to say is not; what the program holds is the machine's, not the GPU's. */
function roomFor(machine: MachineMemory, device: string | undefined): { room: number; beside: string } {
  if (chooseDevice(device).name !== "cpu") return { room: machine.total, beside: "" };
  const held = process.memoryUsage.rss() + BESIDE;
  return { room: machine.total - held, beside: `, beside ${gibibytes(held)} for the program and its data` };
}

function tooMuch(what: string, machine: MachineMemory, remedy: string): DdscError {
  const has = `${machine.owner} has ${gibibytes(machine.total)}`;
  return new DdscError("TRAIN_MEMORY", `training would take ${what}, and ${has}; ${remedy}`);
}

/** `1.25 GiB`. */
export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
