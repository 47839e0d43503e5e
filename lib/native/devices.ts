/** The typed door to the addon's devices and their memory. */
import { callAddon } from "./addon.js";
import { type AddonConfig, addonConfig } from "./parameters.js";
import type {
  CudaState,
  DenoiserConfig,
  DeviceMemory,
  DType,
  NativeDevice,
  NativeMemory,
  NativeWorkload,
} from "./types.js";

/** The addon's functions for devices, as they are exported. */
interface DevicesAddon {
  /** The CPU and the GPUs found. */
  devices(): NativeDevice[];
  cudaState(): CudaState;
  gpuMemory(device: string): DeviceMemory;
  estimateMemory(options: {
    readonly config: AddonConfig;
    readonly dtype: DType;
    readonly workload: NativeWorkload;
    readonly device: string;
  }): Promise<NativeMemory>;
}

/** What this installation can compute on: the CPU and the GPUs found, those that cannot be used included. */
export function nativeDevices(): readonly NativeDevice[] {
  return callAddon((addon: DevicesAddon) => addon.devices());
}

/** What there is of CUDA, and where there are no GPUs why. */
export function nativeCuda(): CudaState {
  return callAddon((addon: DevicesAddon) => addon.cudaState());
}

/** Memory of a GPU ("cuda:N"), which the process begins to use with this. Throws `DEVICE_UNAVAILABLE`. */
export function nativeGpuMemory(device: string): DeviceMemory {
  return callAddon((addon: DevicesAddon) => addon.gpuMemory(device));
}

/**
 * What a model and its calls would hold: the code that runs them is walked through without memory and without the
 * device. Throws `MODEL_CONFIG`, `ARGUMENT_RANGE` for a batch that cannot be.
 */
export async function nativeMemory(
  config: DenoiserConfig,
  dtype: DType,
  workload: NativeWorkload,
  device: string,
): Promise<NativeMemory> {
  return callAddon((addon: DevicesAddon) =>
    addon.estimateMemory({ config: addonConfig(config), dtype, workload, device }),
  );
}
