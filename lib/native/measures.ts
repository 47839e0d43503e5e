/** What native code says about itself: where time goes, what a device can do, what memory is needed. */
import type { DType } from "./denoiser.js";

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
