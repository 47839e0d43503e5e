import { DdscError } from "../base/errors.js";
import { nativeCuda, nativeDevices } from "../native/devices.js";
import type { GpuDevice } from "../native/types.js";

/** A device by the name that native code takes, and why it is this one. */
export interface ChosenDevice {
  /** "cpu" or "cuda:N". */
  readonly name: string;
  /** Why "auto" took it, in a few words; absent where the device was asked for. */
  readonly reason?: string;
}

/**
 * The device that a name stands for: "auto" (the first GPU that can be used, else the CPU), "cpu", "cuda" (the first GPU
 * that can be used) or "cuda:N". Throws `DEVICE_UNKNOWN`, and `DEVICE_UNAVAILABLE` with the reason where there is no
 * usable GPU.
 */
export function chooseDevice(device = "auto"): ChosenDevice {
  if (device === "cpu" || /^cuda:\d+$/.test(device)) return { name: device };
  if (device !== "auto" && device !== "cuda") {
    throw new DdscError(
      "DEVICE_UNKNOWN",
      `expected auto, cpu, cuda or cuda:N for device but received ${String(device)}`,
      { argument: "device" },
    );
  }
  const gpus = nativeDevices().filter((found) => found.kind === "cuda");
  const usable = gpus.find(({ problem }) => problem === undefined);
  if (usable !== undefined) {
    return device === "cuda"
      ? { name: usable.name }
      : { name: usable.name, reason: `the first GPU that can be used (${describeGpu(usable)})` };
  }
  const problem = gpuProblem(gpus);
  if (device === "cuda")
    throw new DdscError("DEVICE_UNAVAILABLE", `cuda: ${problem}`, { argument: "device" });
  return { name: "cpu", reason: `no GPU can be used: ${problem}` };
}

/** Why there is no GPU to compute on. */
function gpuProblem(gpus: readonly GpuDevice[]): string {
  if (gpus.length > 0) return gpus.map((gpu) => `${gpu.name}: ${gpu.description}: ${gpu.problem}`).join("; ");
  return nativeCuda().problem ?? "there is no GPU";
}

/** `NVIDIA H200, compute capability 9.0, 139.8 GiB`. */
export function describeGpu({ description, computeCapability, memoryBytes }: GpuDevice): string {
  return `${description}, compute capability ${computeCapability}, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB`;
}
