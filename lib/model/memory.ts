import { freemem, totalmem } from "node:os";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkWhole } from "../base/errors.js";
import { nativeGpuMemory, nativeMemory } from "../native/devices.js";
import type {
  DenoiserConfig,
  DeviceMemory,
  DType,
  NativeMemory,
  NativeWorkload,
  OptimizerShare,
} from "../native/types.js";
import { groupMemory } from "./control_group.js";
import { chooseDevice } from "./device.js";

/** A batch, as far as memory goes. */
export interface BatchShape {
  readonly cells: number;
  /** Tokens of all cells. */
  readonly tokens: number;
  /** Tokens of the longest cell; default those of a cell on average, rounded up. */
  readonly longest?: number;
  /** Share of the tokens whose ranks are asked for, 0..1; default 1, the most there can be. */
  readonly maskedShare?: number;
}

/** Options of `estimateMemory`. */
export interface MemoryOptions {
  readonly batch: BatchShape;
  /** Training steps, or runs of the network on a model loaded for that; default "train". */
  readonly work?: "train" | "predict";
  /** Compute type; default "fp32". */
  readonly dtype?: DType;
  /** As `TrainerOptions.recompute`; default false. */
  readonly recompute?: boolean;
  /** Batches a step; default 1. */
  readonly accumulation?: number;
  /** Whether training is validated; default true. */
  readonly validation?: boolean;
  /** As `DenoiserOptions.device`; default "auto". */
  readonly device?: string;
  /** As `DenoiserOptions.optimizerShare`; default all. */
  readonly optimizerShare?: OptimizerShare | undefined;
}

/** A share of the optimizer, as it is given. Throws `ARGUMENT_RANGE`, `ARGUMENT_TYPE`. */
export function checkedShare({ index, count }: OptimizerShare): OptimizerShare {
  checkWhole("optimizerShare.count", count, 1, 2 ** 20);
  return {
    count,
    index: checkWhole("optimizerShare.index", index, 0, count - 1),
  };
}

/** Bytes of the device's memory. */
export interface MemoryEstimate extends NativeMemory {
  /** All of it. */
  readonly total: number;
}

/**
 * The memory that training steps or predictions on batches of a shape hold at most, the GPU's where one is computed on,
 * without taking any: the code that runs them is walked through on a device that only counts. `parameters` and
 * `activations` are exact, `scratch` is an estimate. The process itself, its data and its batches come on top. Throws
 * `ARGUMENT_RANGE` for a batch that cannot be, `MODEL_CONFIG`, `DEVICE_*`.
 */
export async function estimateMemory(
  config: DenoiserConfig,
  options: MemoryOptions,
): Promise<MemoryEstimate> {
  checkKind("config", config, "object");
  const workload = workloadOf(options);
  const { name } = chooseDevice(options.device);
  return withTotal(await nativeMemory(config, options.dtype ?? "fp32", workload, name));
}

/** What `NativeDenoiser.reserve` takes. Throws `ARGUMENT_RANGE`. */
export function workloadOf(options: MemoryOptions): NativeWorkload {
  checkOptions(options, { recompute: "switch", validation: "switch", optimizerShare: "object" });
  checkKind("batch", options.batch, "object");
  const { batch, work = "train", recompute = false, accumulation = 1, validation = true } = options;
  const { optimizerShare } = options;
  const whole = (argument: string, value: number) => checkWhole(argument, value, 1, 2 ** 31 - 1);
  const cells = whole("batch.cells", batch.cells);
  const tokens = whole("batch.tokens", batch.tokens);
  const longest = whole("batch.longest", batch.longest ?? Math.ceil(tokens / cells));
  const maskedShare = checkNumber("batch.maskedShare", batch.maskedShare ?? 1, { min: 0, max: 1 });
  return {
    work,
    batch: { cells, tokens, longest, masked: Math.max(1, Math.round(maskedShare * tokens)) },
    recompute,
    severalBatches: whole("accumulation", accumulation) > 1,
    validation,
    optimizerShare: optimizerShare && checkedShare(optimizerShare),
  };
}

/** The same with the sum of its parts. */
export function withTotal(memory: NativeMemory): MemoryEstimate {
  return { ...memory, total: memory.parameters + memory.activations + memory.scratch };
}

/** Memory of a device that this process can have. */
export interface MachineMemory extends DeviceMemory {
  /** What has it: "this machine (or the limit of this process)", "cuda:0". */
  readonly owner: string;
}

/**
 * How much memory there is to compute with: a GPU's, or the machine's, as far as the process is not limited (a container,
 * a control group).
 *
 * @param device as `DenoiserOptions.device`. Throws `DEVICE_*`.
 */
export function machineMemory(device = "auto"): MachineMemory {
  const { name } = chooseDevice(device);
  return name === "cpu" ? processMemory() : { ...nativeGpuMemory(name), owner: name };
}

/** What `machineMemory` says of the CPU, which takes no native code to know. */
export function processMemory(): MachineMemory {
  const group = groupMemory();
  // 0 or more than the machine has: there is no limit.
  const told = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const limit = Math.min(told, group?.limit ?? Number.POSITIVE_INFINITY);
  const free = Math.min(freemem(), group?.free ?? Number.POSITIVE_INFINITY);
  const limited = limit < totalmem();
  return {
    available: limited ? Math.max(0, Math.min(free, limit - process.memoryUsage.rss())) : freemem(),
    total: limited ? limit : totalmem(),
    owner: "this machine (or the limit of this process)",
  };
}
