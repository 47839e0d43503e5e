/**
 * The typed door to the addon's models and devices. Calls of one model run one after the other, off the event loop, in the
 * order they were made.
 */
import { DdscError } from "../base/errors.js";
import { type AddonDenoiser, callAddon, fromNative } from "./addon.js";
import type { CudaState, DeviceMemory, NativeDevice } from "./devices.js";
import type { NativeLimits, NativeMemory, NativeOpProfile, NativeWorkload } from "./measures.js";

/** Compute type. Master weights, optimizer state, reductions and softmax are float32 in both. */
export type DType = "fp32" | "bf16";

/** Shape of the denoiser; the fields of the reference's `Config`. */
export interface DenoiserConfig {
  /** Rank tokens V, the mask token (last) included: R + 3. */
  readonly vocabSize: number;
  /** Rows of the gene embedding, specials included. */
  readonly geneVocabSize: number;
  /** Width D. */
  readonly hidden: number;
  readonly blocks: number;
  /** Attention heads; D / heads is even. */
  readonly heads: number;
  /** Width of the conditioning (time) vector. */
  readonly condDim: number;
  /** Dropout probability in training, 0..1 (exclusive). */
  readonly dropout: number;
  /** Whether the network sees the noise level. */
  readonly timeConditioning: boolean;
  /** Rotary position embedding in attention. */
  readonly rotary: boolean;
}

/** One named parameter inside the flat buffers. */
export interface ParameterInfo {
  readonly name: string;
  readonly shape: readonly number[];
  /** First element in the flat buffer. */
  readonly offset: number;
  readonly size: number;
}

/** The flat float32 buffers of a model, each as long as all parameters (padding between parameters included). */
export type ParameterBuffer = "weights" | "ema" | "firstMoment" | "secondMoment" | "gradient";

/** Cells of a call; see RaggedBatch. `tokens` is x0 in training and xt in prediction. */
export interface NativeBatch {
  readonly offsets: Int32Array;
  readonly genes: Int32Array;
  readonly tokens: Int32Array;
  readonly cells: Float64Array;
}

/** What is masked: given, or drawn natively from Purpose.mask streams. */
export type NativeMasking =
  | { readonly kind: "given"; readonly noisy: Int32Array }
  | {
      readonly kind: "draw";
      readonly moveChance: Float64Array;
      readonly seed: number;
      readonly step: number;
    };

/** Noise of each cell, as objectives need it; all [cells]. See CellNoise in native/ops/ops.h. */
export interface NativeNoise {
  /** Noise level given to the network (ignored without time conditioning). */
  readonly conditioning: Float32Array;
  /** Factor on the per-token loss. */
  readonly weight: Float32Array;
  readonly sigma: Float32Array;
  readonly time: Float32Array;
  /** Factor on |E[rank] - rank|, all included; absent: no mean matching. */
  readonly meanWeight?: Float32Array;
}

/** What is learnt: see `DiffusionConfig`. */
export type NativeObjective =
  | { readonly kind: "subs" }
  | { readonly kind: "d3pm"; readonly steps: number }
  | { readonly kind: "sedd" };

export interface NativeLossInput {
  readonly batch: NativeBatch;
  readonly masking: NativeMasking;
  readonly noise: NativeNoise;
  readonly objective: NativeObjective;
  /** Which weights: the trained ones or their moving average. Default "weights". */
  readonly weights?: "weights" | "ema";
}

/** Sums over the masked, valid tokens of a call (weighted as asked, not divided by anything). */
export interface NativeLoss {
  /** Sum of the objective's per-token loss, nats (times weight). */
  readonly loss: number;
  /** Sum of the mean matching term (meanWeight included). */
  readonly meanLoss: number;
  /** Tokens that were masked and counted. */
  readonly maskedTokens: number;
  /** Tokens with x0 >= 2: what losses are divided by. */
  readonly validTokens: number;
  /** Sum of -log p(x0) under SUBS over the masked tokens, nats. */
  readonly crossEntropy: number;
  /** Masked tokens whose most probable rank is the right one. */
  readonly correct: number;
  /** Objective's loss by cell, [cells]. */
  readonly cellLoss: Float64Array;
}

export interface NativeUpdateOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 0..1; the EMA buffer moves by 1 - emaDecay. */
  readonly emaDecay: number;
  /** Gradient is scaled down to this global norm when larger; 0: no clipping. */
  readonly maxNorm: number;
  /** Optimizer step, from 1. */
  readonly step: number;
}

export interface NativeStatistics {
  /** log p(target) under SUBS, nats; all 0 when no targets were given. */
  readonly targetLogProbability: Float32Array;
  readonly best: Int32Array;
  readonly bestProbability: Float32Array;
  /** E[token] over value tokens. */
  readonly expectedToken: Float32Array;
}

export interface NativeDrawOptions {
  readonly objective: NativeObjective["kind"];
  /** Weight of the values and of staying masked, by cell of the predicted batch. */
  readonly reveal: Float32Array;
  readonly stay: Float32Array;
  /** [cells], sedd only. */
  readonly sigma?: Float32Array;
  /** 0: the most probable value. */
  readonly temperature: number;
  readonly seed: number;
  readonly step: number;
  /** Which of the predicted rows to draw for, by place among them, ascending; default all. */
  readonly places?: Int32Array;
}

/** Logits of the masked rows of one batch, kept in native memory. */
export interface NativePrediction extends Disposable {
  /** Rows (token numbers in the batch) that were predicted, ascending. */
  readonly rows: Int32Array;
  /** [rows, V], row-major. */
  logits(): Promise<Float32Array>;
  /** `targets` is [rows]. */
  statistics(targets?: Int32Array): Promise<NativeStatistics>;
  draw(options: NativeDrawOptions): Promise<{ tokens: Int32Array; probability: Float32Array }>;
}

/** Logits and what they should say, for an objective without a network. Rows are masked tokens. */
export interface NativeObjectiveInput {
  /** [rows, V], row-major; the mask token is V - 1. */
  readonly logits: Float32Array;
  /** V. */
  readonly vocabSize: number;
  /** x0 of each row, [rows]. */
  readonly target: Int32Array;
  /** Index of each row's cell in `noise`, [rows], ascending. */
  readonly cell: Int32Array;
  readonly noise: Omit<NativeNoise, "conditioning">;
  readonly objective: NativeObjective;
  /** As for a denoiser; default "cpu". */
  readonly device?: string;
}

/** Values of an objective and the gradient of their sum. */
export interface NativeObjectiveLoss {
  /** Objective's loss of each row (weight included), nats, [rows]. */
  readonly loss: Float32Array;
  /** Mean matching term of each row (meanWeight included), [rows]; zeros where there is none. */
  readonly meanLoss: Float32Array;
  /** d(sum of both) / d logits, [rows, V]. */
  readonly gradient: Float32Array;
}

export interface NativeDenoiserOptions {
  readonly config: DenoiserConfig;
  readonly dtype: DType;
  /** "cpu", "cuda" (the first GPU that can be used) or "cuda:N". */
  readonly device: string;
  /** Whether gradients, moments and EMA are wanted; otherwise only weights are held. */
  readonly trainable: boolean;
  /** Whether time and cost of every op are recorded, for `takeProfile`. Default false, which costs nothing. */
  readonly profile?: boolean;
}

/** What this installation can compute on: the CPU and the GPUs found, those that cannot be used included. */
export function nativeDevices(): readonly NativeDevice[] {
  return callAddon((addon) => addon.devices());
}

/** What there is of CUDA, and where there are no GPUs why. */
export function nativeCuda(): CudaState {
  return callAddon((addon) => addon.cudaState());
}

/** Memory of a GPU ("cuda:N"), which the process begins to use with this. Throws `DEVICE_UNAVAILABLE`. */
export function nativeGpuMemory(device: string): DeviceMemory {
  return callAddon((addon) => addon.gpuMemory(device));
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
  return callAddon((addon) => addon.estimateMemory({ config, dtype, workload, device }));
}

/** Losses of given logits and their gradient, as training computes them. Throws ARGUMENT_RANGE for sizes that disagree. */
export async function objectiveLoss(input: NativeObjectiveInput): Promise<NativeObjectiveLoss> {
  return callAddon((addon) => addon.objectiveLoss(input));
}

/**
 * A denoiser in native memory: parameters, gradients, optimizer state. Each method queues behind the earlier ones; an
 * aborted call rejects with the signal's reason and leaves parameters and optimizer state as they were (an aborted
 * `accumulate` leaves the gradient undefined until `clearGradient`).
 */
export class NativeDenoiser implements Disposable {
  readonly parameters: readonly ParameterInfo[];
  /** Length of each flat buffer in floats. */
  readonly bufferSize: number;
  /** For people: "cpu (avx512, 2 threads)". */
  readonly device: string;
  readonly #native: AddonDenoiser;
  #tail: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /**
   * Throws MODEL_CONFIG for a shape that cannot be, OUT_OF_MEMORY, CUDA_OUT_OF_MEMORY, DEVICE_UNKNOWN,
   * DEVICE_UNAVAILABLE with the reason, CUDA_DEVICE_LOST where a GPU failed earlier in this process.
   */
  constructor(options: NativeDenoiserOptions) {
    this.#native = callAddon((addon) => new addon.Denoiser(options));
    this.parameters = this.#native.parameters;
    this.bufferSize = this.#native.bufferSize;
    this.device = this.#native.device;
  }

  /** Draws fresh weights (published initialisation) and clears optimizer state; EMA starts at the weights. */
  initialise(seed: number): Promise<void> {
    return this.#queue(() => this.#native.initialise(seed));
  }

  /** Copies `size` floats from `offset` of a buffer. */
  read(buffer: ParameterBuffer, offset: number, size: number): Promise<Float32Array> {
    return this.#queue(() => this.#native.read(buffer, offset, size));
  }

  /** Overwrites a part of a buffer. */
  write(buffer: ParameterBuffer, offset: number, values: Float32Array): Promise<void> {
    return this.#queue(() => this.#native.write(buffer, offset, values));
  }

  /** Sets the gradient to zero. */
  clearGradient(): Promise<void> {
    return this.#queue(() => this.#native.write("gradient", 0, new Float32Array(this.bufferSize)));
  }

  /**
   * Forward and backward of one micro-batch with dropout: gradient += gradientScale * d(sum of losses). Dropout is
   * named by (dropoutSeed, step, cell). `recompute` (default false): a block's activations are not kept from forward
   * to backward but computed again there: the same bits in less memory and more time.
   *
   * `next`: the input of the `accumulate` to come. A GPU gets its batch while it works on this one; the same bits as
   * without. It is known again as the same object, whose arrays stay as they are until then; whatever is called in
   * between or in its place is right, too, and what is wrong with it is told by its own call.
   */
  accumulate(
    input: NativeLossInput,
    options: {
      readonly gradientScale: number;
      readonly dropoutSeed: number;
      readonly step: number;
      readonly recompute?: boolean;
      readonly next?: NativeLossInput | undefined;
    },
    signal?: AbortSignal,
  ): Promise<NativeLoss> {
    const { gradientScale, dropoutSeed, step, recompute = false, next = null } = options;
    return this.#queue(
      () => this.#native.accumulate(input, gradientScale, dropoutSeed, step, recompute, next),
      signal,
    );
  }

  /** Forward and loss only, without dropout. */
  evaluate(input: NativeLossInput, signal?: AbortSignal): Promise<NativeLoss> {
    return this.#queue(() => this.#native.evaluate(input), signal);
  }

  /**
   * Clips, one AdamW step, EMA, and clears the gradient. With a gradient norm that is not finite nothing is changed
   * and `applied` is false.
   */
  update(options: NativeUpdateOptions): Promise<{ gradientNorm: number; applied: boolean }> {
    return this.#queue(() => this.#native.update(options));
  }

  /** Runs the network on xt (`batch.tokens`) for `rows` (default: all masked tokens), without dropout. */
  async predict(
    batch: NativeBatch,
    options: {
      readonly conditioning: Float32Array;
      readonly rows?: Int32Array;
      readonly weights?: "weights" | "ema";
    },
    signal?: AbortSignal,
  ): Promise<NativePrediction> {
    const raw = await this.#queue(
      () =>
        this.#native.predict(batch, options.conditioning, options.rows ?? null, options.weights ?? "weights"),
      signal,
    );
    return {
      rows: raw.rows,
      logits: () => this.#queue(() => raw.logits()),
      statistics: (targets) => this.#queue(() => raw.statistics(targets ?? null)),
      draw: (draw) => this.#queue(() => raw.draw(draw)),
      [Symbol.dispose]: () => raw.dispose(),
    };
  }

  /**
   * Takes the memory of such batches at once, so that later calls of that size or smaller allocate nothing; says what
   * all of it is. Throws `ARGUMENT_RANGE` for a batch that cannot be.
   */
  reserve(workload: NativeWorkload): Promise<NativeMemory> {
    return this.#queue(() => this.#native.reserve(workload));
  }

  /**
   * Time and cost of every op since the last call, in the order in which ops first ran. Throws `MODEL_PROFILE` for a
   * denoiser that was not made with `profile`.
   */
  takeProfile(): Promise<readonly NativeOpProfile[]> {
    return this.#queue(async () => this.#native.takeProfile());
  }

  /** Measures what the device can do at most, which takes some tenths of a second. */
  measureLimits(): Promise<NativeLimits> {
    return this.#queue(() => this.#native.measureLimits());
  }

  /** Frees native memory once the calls under way have ended; later calls reject with MODEL_DISPOSED. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#tail = this.#tail.then(() => this.#native.dispose());
  }

  #queue<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#disposed) {
      return Promise.reject(
        new DdscError("MODEL_DISPOSED", "this model was disposed; load or create it again"),
      );
    }
    const result = this.#tail.then(async () => {
      signal?.throwIfAborted();
      const cancel = () => this.#native.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        return await call();
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        throw fromNative(error);
      } finally {
        signal?.removeEventListener("abort", cancel);
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
