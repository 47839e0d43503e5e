/** Loads the native addon, the only file that does, and says what it exports. */
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DdscError } from "../base/errors.js";
import type { DataAddon } from "./data.js";
import type {
  DenoiserConfig,
  DType,
  NativeBatch,
  NativeDenoiserOptions,
  NativeDrawOptions,
  NativeLoss,
  NativeLossInput,
  NativeObjectiveInput,
  NativeObjectiveLoss,
  NativeStatistics,
  NativeUpdateOptions,
  ParameterBuffer,
  ParameterInfo,
} from "./denoiser.js";
import type { CudaState, DeviceMemory, NativeDevice } from "./devices.js";
import type { NativeLimits, NativeMemory, NativeOpProfile, NativeWorkload } from "./measures.js";
import type { TokenAddon } from "./tokens.js";

/** A prediction as the addon gives it; see NativePrediction. */
interface AddonPrediction {
  readonly rows: Int32Array;
  logits(): Promise<Float32Array>;
  statistics(targets: Int32Array | null): Promise<NativeStatistics>;
  draw(options: NativeDrawOptions): Promise<{ tokens: Int32Array; probability: Float32Array }>;
  dispose(): void;
}

/** A model as the addon gives it; wrapped by NativeDenoiser. */
export interface AddonDenoiser {
  readonly parameters: ParameterInfo[];
  readonly bufferSize: number;
  readonly device: string;
  initialise(seed: number): Promise<void>;
  read(buffer: ParameterBuffer, offset: number, size: number): Promise<Float32Array>;
  write(buffer: ParameterBuffer, offset: number, values: Float32Array): Promise<void>;
  accumulate(
    input: NativeLossInput,
    gradientScale: number,
    dropoutSeed: number,
    step: number,
    recompute: boolean,
    next: NativeLossInput | null,
  ): Promise<NativeLoss>;
  evaluate(input: NativeLossInput): Promise<NativeLoss>;
  update(options: NativeUpdateOptions): Promise<{ gradientNorm: number; applied: boolean }>;
  predict(
    batch: NativeBatch,
    conditioning: Float32Array,
    rows: Int32Array | null,
    weights: "weights" | "ema",
  ): Promise<AddonPrediction>;
  reserve(workload: NativeWorkload): Promise<NativeMemory>;
  takeProfile(): Promise<NativeOpProfile[]>;
  measureLimits(): Promise<NativeLimits>;
  cancel(): void;
  dispose(): void;
}

/** All that the addon exports. */
interface Addon extends DataAddon, TokenAddon {
  Denoiser: new (options: NativeDenoiserOptions) => AddonDenoiser;
  /** The CPU and the GPUs found. */
  devices(): NativeDevice[];
  cudaState(): CudaState;
  gpuMemory(device: string): DeviceMemory;
  estimateMemory(options: {
    readonly config: DenoiserConfig;
    readonly dtype: DType;
    readonly workload: NativeWorkload;
    readonly device: string;
  }): Promise<NativeMemory>;
  /** The diffusion loss op alone, in float32. */
  objectiveLoss(input: NativeObjectiveInput): Promise<NativeObjectiveLoss>;
}

const require = createRequire(import.meta.url);
const packageRoot = fileURLToPath(new URL("../..", import.meta.url));
let loaded: Addon | undefined;

/** The addon: the package's own, or for development the file that DDSC_ADDON names. */
function addon(): Addon {
  if (loaded === undefined) {
    const { DDSC_ADDON: other } = process.env;
    try {
      loaded = (other ? require(resolve(other)) : require("node-gyp-build")(packageRoot)) as Addon;
    } catch (cause) {
      throw new DdscError(
        "NATIVE_LOAD",
        `the native addon for ${process.platform}-${process.arch} could not be loaded (${String(cause).split("\n")[0]}); ` +
          "reinstall the package, or run `npm run build:native` in a source checkout; in a bundled program, leave ddsc out of " +
          "the bundle (esbuild --external:ddsc)",
        {},
        { cause },
      );
    }
  }
  return loaded;
}

/** Path of the addon that is used. Throws `NATIVE_LOAD` where there is none for this platform. */
export function nativeBinary(): string {
  addon();
  const { DDSC_ADDON: other } = process.env;
  if (other) return resolve(other);
  return require("node-gyp-build").path(packageRoot) as string;
}

/** Turns an error that crossed the addon's border into a DdscError. */
export function fromNative(error: unknown): unknown {
  if (
    error instanceof Error &&
    !(error instanceof DdscError) &&
    typeof (error as { code?: unknown }).code === "string"
  ) {
    return new DdscError((error as unknown as { code: string }).code, error.message, {}, { cause: error });
  }
  return error;
}

/**
 * Calls one of the addon's functions, at once or off the event loop; errors become `DdscError`s. Throws `NATIVE_LOAD` where there
 * is no addon.
 */
export function callAddon<T>(call: (addon: Addon) => T): T {
  try {
    const result = call(addon());
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw fromNative(error);
    }) as T;
  } catch (error) {
    throw fromNative(error);
  }
}
