/** What the addon is given and gives: models, devices, and what native code says about itself. */

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
  /** What a model of counts has besides; absent: the model is of ranks. */
  readonly counts?: CountShape;
}

/** What a model of counts has beside the shape of a model of ranks. */
export interface CountShape {
  /** Width of a cell's state, which tilts the base of each gene. */
  readonly state: number;
  /** How many labels each condition has; 0: the condition is a number. */
  readonly conditions: readonly number[];
  /** Numbers that sum up a cell's visible genes, zeros included, the first `state` of which its state begins with; 0: none. */
  readonly summary: number;
  /** Whether the genes' sizes are learnt on from those that were counted. */
  readonly learntSizes: boolean;
  /** Whether a cell's state moves them, too; needs `learntSizes`. */
  readonly sizesByState: boolean;
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

/**
 * Cells of counts as a pass reads them. Rows of a cell: cls, evidence (together its key rows), queries. Genes that are visible
 * with a count of 0, and hidden genes that nobody asks about, have no row.
 */
export interface NativeCountRows extends NativeBatch {
  /** cls and evidence of each cell, [cells]. */
  readonly keys: Int32Array;
  /** Hidden and measured genes, [cells]. */
  readonly hidden: Int32Array;
  readonly measured: Int32Array;
  /** Sum of the visible counts, and of the visible genes' shares, [cells]. */
  readonly visibleTotal: Float64Array;
  readonly visibleShare: Float64Array;
  /** The whole total of each cell, [cells]; NaN: not given. */
  readonly total: Float32Array;
  /** Mean of the base by a gene's share, [cells]: see `CountBase`. */
  readonly depth: Float64Array;
  /** Conditions that are numbers, [cells, number conditions]; NaN: not given. */
  readonly numbers: Float32Array;
  /** Conditions that have labels, [cells, label conditions]: label + 1; 0: not given. */
  readonly labels: Int32Array;
  /** Of the visible genes, [cells, summary], where the model reads one. */
  readonly summary?: Float32Array;
}

/** What a model of counts learns from. */
export interface NativeCountLossInput {
  readonly rows: NativeCountRows;
  /** Value of each query, [queries]. */
  readonly answers: Int32Array;
  /** Factor on -log p of each query, [queries]. */
  readonly weight: Float32Array;
  /** Which weights: the trained ones or their moving average. Default "weights". */
  readonly weights?: "weights" | "ema";
}

/** What a loss is of: ranks or counts. */
export type AnyNativeLossInput = NativeLossInput | NativeCountLossInput;

/** What a model of counts says about queries; counts are the middles of their bins. */
export interface NativeCountStatistics {
  /** log p(target), nats, and P(value < target), [queries]; empty without targets. */
  readonly logProbability: Float32Array;
  readonly below: Float32Array;
  /** Of the count, [queries]. */
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  /** P(count > 0), [queries]. */
  readonly expressed: Float32Array;
  /** [queries, values], where asked for; else empty. */
  readonly logProbabilities: Float32Array;
}

/**
 * Sums over the masked, valid tokens of a call (of counts: over the queries, `maskedTokens` of them; cells are its
 * `validTokens`, and nothing is counted as `correct`), weighted as asked, not divided by anything.
 */
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
  /** Factor on the learning rate of a model of counts' state: factors, sizes and what reads the summary. Default 1. */
  readonly stateRate?: number;
  /** Factor on that, of the factors by which the state moves sizes. Default 1. */
  readonly sizesRate?: number;
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

/**
 * A share of AdamW's moments: of `count` processes that train a model together, that of the one with this number, from 0. All have equal
 * parts of the flat buffers, but for the last.
 */
export interface OptimizerShare {
  readonly index: number;
  readonly count: number;
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
  /** Which of AdamW's moments are held; default all. Nothing is read of the others, and what is written of them is let go. */
  readonly optimizerShare?: OptimizerShare | undefined;
}

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

/** What one op, at one place of the network, took; times and costs are those of all its calls. */
export interface NativeOpProfile {
  /** "linear", "weight gradient", "attention", ...; "upload", "zero" and the like for the moving of memory. */
  readonly op: string;
  /** What of the network it is: "qkv", "mlp in + gelu", ...; empty for ops with one place. */
  readonly place: string;
  readonly calls: number;
  readonly seconds: number;
  /** Floating-point operations by the op's definition; of matrix products only for linear layers and attention. */
  readonly flops: number;
  /** Bytes that have to be read and written once. */
  readonly bytes: number;
  /** Type of the operands of its matrix products; fp32 for ops that have none. */
  readonly operands: DType;
}

/** What is done with batches of a shape, as far as memory goes. */
export interface NativeWorkload {
  readonly work: "train" | "predict";
  readonly batch: {
    readonly cells: number;
    readonly tokens: number;
    /** Tokens of the longest cell. */
    readonly longest: number;
    /** Tokens whose ranks are asked for, at least 1. */
    readonly masked: number;
  };
  /** See `accumulate`. */
  readonly recompute: boolean;
  /** More than one batch a step. */
  readonly severalBatches: boolean;
  /** The moving average is evaluated between steps. */
  readonly validation: boolean;
  /** As `NativeDenoiserOptions.optimizerShare`. */
  readonly optimizerShare?: OptimizerShare | undefined;
}

/** Bytes of native memory. */
export interface NativeMemory {
  /** Weights and copies; of a trainable model gradient, moments and moving average too. */
  readonly parameters: number;
  /** Of the largest call: what it reads, computes and gives back. */
  readonly activations: number;
  /** Held by the ops themselves; an estimate, where the others are exact. */
  readonly scratch: number;
}

/** What a device can do at most, measured on the device. */
export interface NativeLimits {
  /** Multiply-adds in registers (two operations each) on all threads, by the operands' type. */
  readonly fp32FlopsPerSecond: number;
  readonly bf16FlopsPerSecond: number;
  /** Between memory and all threads. */
  readonly bytesPerSecond: number;
}
