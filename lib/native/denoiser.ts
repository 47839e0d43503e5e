/** The typed door to the addon's models. */
import { DdscError } from "../base/errors.js";
import { callAddon } from "./addon.js";
import type { AddonCommunicator, NativeCommunicator } from "./communicator.js";
import { type AddonCountPrediction, CountPrediction, queriesOf } from "./count_prediction.js";
import { cellOfEntry, type EntryCells, requireDrawn, requireFinite } from "./finite.js";
import { type AddonConfig, addonConfig } from "./parameters.js";
import type {
  AnyNativeLossInput,
  NativeBatch,
  NativeCountRows,
  NativeDenoiserOptions,
  NativeDrawOptions,
  NativeLimits,
  NativeLoss,
  NativeMemory,
  NativeObjectiveInput,
  NativeObjectiveLoss,
  NativeOpProfile,
  NativePrediction,
  NativeStatistics,
  NativeUpdateOptions,
  NativeWorkload,
  OptimizerShare,
  ParameterBuffer,
  ParameterInfo,
} from "./types.js";

/** Ends a call of the addon; made and raised by its functions. */
declare const cancellation: unique symbol;
interface Cancellation {
  readonly [cancellation]: true;
}

/** A staged batch as the addon gives it; wrapped by StagedBatch. */
interface AddonStagedBatch {
  dispose(): void;
}

/** A prediction as the addon gives it; see NativePrediction. */
interface AddonPrediction {
  readonly rows: Int32Array;
  logits(): Promise<Float32Array>;
  statistics(targets: Int32Array | null): Promise<NativeStatistics>;
  draw(options: NativeDrawOptions): Promise<{ tokens: Int32Array; probability: Float32Array }>;
  dispose(): void;
}

/** A model's options as the addon takes them. */
type AddonOptions = Omit<NativeDenoiserOptions, "config"> & { readonly config: AddonConfig };

/** A model as the addon gives it; wrapped by NativeDenoiser. */
interface AddonDenoiser {
  readonly parameters: ParameterInfo[];
  readonly bufferSize: number;
  readonly optimizerShareSize: number;
  readonly device: string;
  initialise(seed: number): Promise<void>;
  read(buffer: ParameterBuffer, offset: number, size: number): Promise<Float32Array>;
  write(buffer: ParameterBuffer, offset: number, values: Float32Array): Promise<void>;
  stage(input: AnyNativeLossInput): AddonStagedBatch;
  accumulate(
    input: AnyNativeLossInput | AddonStagedBatch,
    gradientScale: number,
    dropoutSeed: number,
    step: number,
    recompute: boolean,
    cancellation: Cancellation | null,
    communicator: AddonCommunicator | null,
  ): Promise<NativeLoss>;
  evaluate(input: AnyNativeLossInput, cancellation: Cancellation | null): Promise<NativeLoss>;
  sumGradient(communicator: AddonCommunicator): Promise<void>;
  update(
    options: NativeUpdateOptions,
    communicator: AddonCommunicator | null,
  ): Promise<{ gradientNorm: number; applied: boolean }>;
  predict(
    batch: NativeBatch,
    conditioning: Float32Array,
    rows: Int32Array | null,
    weights: "weights" | "ema",
    cancellation: Cancellation | null,
  ): Promise<AddonPrediction>;
  predictCounts(
    rows: NativeCountRows,
    weights: "weights" | "ema",
    cancellation: Cancellation | null,
  ): Promise<AddonCountPrediction>;
  setBase(share: Float64Array, size: Float64Array): Promise<void>;
  reserve(workload: NativeWorkload): Promise<NativeMemory>;
  takeProfile(): Promise<NativeOpProfile[]>;
  measureLimits(): Promise<NativeLimits>;
  dispose(): void;
}

/** The addon's functions for models, as they are exported. */
interface ModelAddon {
  Denoiser: new (options: AddonOptions) => AddonDenoiser;
  cancellation(): Cancellation;
  cancel(cancellation: Cancellation): void;
  /** The diffusion loss op alone, in float32. */
  objectiveLoss(input: NativeObjectiveInput): Promise<NativeObjectiveLoss>;
}

/** Losses of given logits and their gradient, as training computes them. Throws ARGUMENT_RANGE for sizes that disagree. */
export async function objectiveLoss(input: NativeObjectiveInput): Promise<NativeObjectiveLoss> {
  return callAddon((addon: ModelAddon) => addon.objectiveLoss(input));
}

/** A batch that `NativeDenoiser.stage` handed to a model ahead of its turn: for one `accumulate` of that model. */
export class StagedBatch implements Disposable {
  readonly #handle: AddonStagedBatch | undefined;
  readonly #problem: unknown;

  /** @param stage makes the addon's handle; what it throws is kept until the batch is used */
  constructor(stage: () => AddonStagedBatch) {
    try {
      this.#handle = stage();
    } catch (error) {
      this.#problem = error;
    }
  }

  /** The addon's handle. Throws what was wrong with the input. */
  get handle(): AddonStagedBatch {
    if (this.#handle === undefined) throw this.#problem;
    return this.#handle;
  }

  /** Frees the batch's memory, unless an `accumulate` has taken it. */
  [Symbol.dispose](): void {
    this.#handle?.dispose();
  }
}

/**
 * A denoiser in native memory: parameters, gradients, optimizer state. Its calls run on a thread of its own, one after the
 * other in the order in which they were made; arrays that they are given are copied, and may be changed at once. An aborted
 * call rejects with the signal's reason and leaves parameters and optimizer state as they were (an aborted `accumulate`
 * leaves the gradient undefined until `clearGradient`).
 */
export class NativeDenoiser implements Disposable {
  readonly parameters: readonly ParameterInfo[];
  /** Length of each flat buffer in floats. */
  readonly bufferSize: number;
  /** For people: "cpu (avx512, 2 threads)". */
  readonly device: string;
  /** Which of AdamW's moments are held, and how many floats a share has at most: the first one. */
  readonly optimizerShare: OptimizerShare;
  readonly optimizerShareSize: number;
  readonly #native: AddonDenoiser;
  #disposed = false;

  /**
   * Throws MODEL_CONFIG for a shape that cannot be, OUT_OF_MEMORY, CUDA_OUT_OF_MEMORY, DEVICE_UNKNOWN,
   * DEVICE_UNAVAILABLE with the reason, CUDA_DEVICE_LOST where a GPU failed earlier in this process.
   */
  constructor(options: NativeDenoiserOptions) {
    this.#native = callAddon(
      (addon: ModelAddon) => new addon.Denoiser({ ...options, config: addonConfig(options.config) }),
    );
    this.parameters = this.#native.parameters;
    this.bufferSize = this.#native.bufferSize;
    this.optimizerShare = options.optimizerShare ?? { index: 0, count: 1 };
    this.optimizerShareSize = this.#native.optimizerShareSize;
    this.device = this.#native.device;
  }

  /** Draws fresh weights (published initialisation) and clears optimizer state; EMA starts at the weights. */
  initialise(seed: number): Promise<void> {
    return this.#run(() => this.#native.initialise(seed));
  }

  /** Copies `size` floats from `offset` of a buffer. */
  read(buffer: ParameterBuffer, offset: number, size: number): Promise<Float32Array> {
    return this.#run(() => this.#native.read(buffer, offset, size));
  }

  /** Overwrites a part of a buffer. */
  write(buffer: ParameterBuffer, offset: number, values: Float32Array): Promise<void> {
    return this.#run(() => this.#native.write(buffer, offset, values));
  }

  /** Sets the gradient to zero. */
  clearGradient(): Promise<void> {
    return this.#run(() => this.#native.write("gradient", 0, new Float32Array(this.bufferSize)));
  }

  /**
   * Hands a batch to the model ahead of its `accumulate`: a GPU gets it while it works on the call before. One may be staged
   * beside the one that is computed on. What is wrong with the input rejects the `accumulate` that is given the batch. Free
   * one that is not used with `using` or `[Symbol.dispose]()`.
   */
  stage(input: AnyNativeLossInput): StagedBatch {
    return new StagedBatch(() => {
      this.#requireModel();
      return callAddon(() => this.#native.stage(input));
    });
  }

  /**
   * Forward and backward of one micro-batch with dropout: gradient += gradientScale * d(sum of losses). Dropout is
   * named by (dropoutSeed, step, cell). `recompute` (default false): a block's activations are not kept from forward
   * to backward but computed again there: the same bits in less memory and more time. A staged batch is used up,
   * whatever comes of the call.
   *
   * `communicator`, of a step's last micro-batch: the gradient of a block begins to be summed over all ranks as soon as it is final, while
   * backward goes on. `sumGradient` must be the next call of this model and of the communicator, whatever comes of this one.
   */
  async accumulate(
    input: AnyNativeLossInput | StagedBatch,
    options: {
      readonly gradientScale: number;
      readonly dropoutSeed: number;
      readonly step: number;
      readonly recompute?: boolean;
      readonly communicator?: NativeCommunicator | undefined;
    },
    signal?: AbortSignal,
  ): Promise<NativeLoss> {
    const { gradientScale, dropoutSeed, step, recompute = false } = options;
    const communicator = options.communicator?.handle ?? null;
    const staged = input instanceof StagedBatch ? input : undefined;
    try {
      return await this.#run((cancellation) => {
        const given = staged?.handle ?? (input as AnyNativeLossInput);
        return this.#native.accumulate(
          given,
          gradientScale,
          dropoutSeed,
          step,
          recompute,
          cancellation,
          communicator,
        );
      }, signal);
    } finally {
      staged?.[Symbol.dispose]();
    }
  }

  /** Forward and loss only, without dropout. */
  evaluate(input: AnyNativeLossInput, signal?: AbortSignal): Promise<NativeLoss> {
    return this.#run((cancellation) => this.#native.evaluate(input, cancellation), signal);
  }

  /**
   * Replaces the gradient by the sum of all ranks' gradients: float32, in an order that hangs on nothing but the number of ranks,
   * the same bits on every rank; what `accumulate` has begun is finished. On a GPU that NCCL joins, in an order of NCCL's. Throws as
   * `NativeCommunicator.gather`, and `CLUSTER_NCCL`; the gradient is then good for nothing.
   */
  sumGradient(communicator: NativeCommunicator): Promise<void> {
    return this.#run(() => this.#native.sumGradient(communicator.handle));
  }

  /**
   * Clips, one AdamW step, EMA, and clears the gradient. With a gradient norm that is not finite nothing is changed
   * and `applied` is false. With a share of the moments each rank updates the weights of its share and gets the others' through the
   * communicator: the same bits as where each has all moments. Throws as `NativeCommunicator.gather`, and `CLUSTER_NCCL`.
   */
  update(
    options: NativeUpdateOptions,
    communicator?: NativeCommunicator,
  ): Promise<{ gradientNorm: number; applied: boolean }> {
    return this.#run(() => this.#native.update(options, communicator?.handle ?? null));
  }

  /**
   * Runs the network on xt (`batch.tokens`) for `rows` (default: all masked tokens), without dropout. What the prediction says or
   * draws throws `MODEL_NOT_FINITE` where the network said no number.
   */
  async predict(
    batch: NativeBatch,
    options: {
      readonly conditioning: Float32Array;
      readonly rows?: Int32Array;
      readonly weights?: "weights" | "ema";
    },
    signal?: AbortSignal,
  ): Promise<NativePrediction> {
    const { conditioning, rows = null, weights = "weights" } = options;
    let cells: EntryCells = { cells: new Float64Array(0), ends: new Int32Array(0) };
    const raw = await this.#run((cancellation) => {
      const running = this.#native.predict(batch, conditioning, rows, weights, cancellation);
      cells = { cells: batch.cells.slice(), ends: batch.offsets.slice(1) };
      return running;
    }, signal);
    const predicted = raw.rows;
    const cellOf = (place: number) => cellOfEntry(cells, predicted[place] ?? 0);
    return {
      rows: predicted,
      logits: () => this.#run(() => raw.logits()),
      statistics: async (targets) => {
        const said = await this.#run(() => raw.statistics(targets ?? null));
        requireFinite([said.bestProbability, said.expectedToken, said.targetLogProbability], cellOf);
        return said;
      },
      draw: async (options) => {
        const drawn = await this.#run(() => raw.draw(options));
        requireDrawn(drawn.tokens, (entry) => cellOf(options.places?.[entry] ?? entry));
        return drawn;
      },
      [Symbol.dispose]: () => raw.dispose(),
    };
  }

  /**
   * Runs a model of counts on cells of which some genes are hidden, without dropout. Throws `MODEL_BASE` before `setBase`,
   * `MODEL_CONFIG` for a model of ranks.
   */
  async predictCounts(
    rows: NativeCountRows,
    options: { readonly weights?: "weights" | "ema" } = {},
    signal?: AbortSignal,
  ): Promise<CountPrediction> {
    const { weights = "weights" } = options;
    let queries: EntryCells = { cells: new Float64Array(0), ends: new Int32Array(0) };
    const raw = await this.#run((cancellation) => {
      const running = this.#native.predictCounts(rows, weights, cancellation);
      queries = queriesOf(rows);
      return running;
    }, signal);
    return new CountPrediction(raw, queries, (call) => this.#run(call));
  }

  /**
   * Gives a model of counts its base: share and size of each gene id, [genes], which it needs before any loss or prediction.
   * Throws `MODEL_BASE` for numbers that cannot be.
   */
  setBase(share: Float64Array, size: Float64Array): Promise<void> {
    return this.#run(() => this.#native.setBase(share, size));
  }

  /**
   * Takes the memory of such batches at once, so that later calls of that size or smaller allocate nothing; says what
   * all of it is. Throws `ARGUMENT_RANGE` for a batch that cannot be.
   */
  reserve(workload: NativeWorkload): Promise<NativeMemory> {
    return this.#run(() => this.#native.reserve(workload));
  }

  /**
   * Time and cost of every op since the last call, in the order in which ops first ran. Throws `MODEL_PROFILE` for a
   * denoiser that was not made with `profile`.
   */
  takeProfile(): Promise<readonly NativeOpProfile[]> {
    return this.#run(() => this.#native.takeProfile());
  }

  /** Measures what the device can do at most, which takes some tenths of a second. */
  measureLimits(): Promise<NativeLimits> {
    return this.#run(() => this.#native.measureLimits());
  }

  /** Frees native memory once the calls made so far have ended; later calls reject with MODEL_DISPOSED. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#native.dispose();
  }

  /** Makes a call at once, so that calls run in the order in which they were made. */
  async #run<T>(call: (cancellation: Cancellation | null) => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#requireModel();
    if (signal === undefined) return callAddon(() => call(null));
    signal.throwIfAborted();
    const cancellation = callAddon((addon: ModelAddon) => addon.cancellation());
    const cancel = () => callAddon((addon: ModelAddon) => addon.cancel(cancellation));
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await callAddon(() => call(cancellation));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  #requireModel(): void {
    if (!this.#disposed) return;
    throw new DdscError("MODEL_DISPOSED", "this model was disposed; load or create it again");
  }
}
