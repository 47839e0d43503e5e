/** What there is to compute on, as native code tells it. */

/** The processor. */
export interface CpuDevice {
  readonly kind: "cpu";
  /** What `device` takes: "cpu". */
  readonly name: string;
  /** For people: "cpu (avx512, 2 threads)". */
  readonly description: string;
  readonly instructionSets: readonly string[];
  readonly threads: number;
}

/** A GPU that the NVIDIA driver lists. */
export interface GpuDevice {
  readonly kind: "cuda";
  /** What `device` takes: "cuda:0". */
  readonly name: string;
  /** The GPU's own name. */
  readonly description: string;
  /** "9.0"; 8.0 is the least that can be used. */
  readonly computeCapability: string;
  readonly memoryBytes: number;
  readonly multiprocessors: number;
  /** Why it cannot be used; absent where it can. */
  readonly problem?: string;
}

/** What can be computed on. */
export type NativeDevice = CpuDevice | GpuDevice;

/** What there is of CUDA, from the build to the driver. */
export interface CudaState {
  /** Whether this build contains the CUDA backend. */
  readonly isBuilt: boolean;
  /** CUDA version that it was built with, such as "13.0". */
  readonly runtimeVersion?: string;
  /** Newest CUDA version that the installed driver serves; absent: no driver. */
  readonly driverVersion?: string;
  /** Why there are no GPUs; absent where there are. */
  readonly problem?: string;
}

/** Bytes of memory. */
export interface DeviceMemory {
  /** Now, beside what others use. */
  readonly available: number;
  readonly total: number;
}
