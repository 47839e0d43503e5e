import { type RaggedBatch, tokenizeRows } from "../batching/index.js";
import { MemorySource } from "../data/sources/memory.js";
import { rowRange } from "../data/sources/parts.js";
import { simulateCells } from "../data/sources/simulate.js";
import { Denoiser, type DenoiserOptions } from "../model/denoiser.js";
import type { DType, NativeLimits } from "../native/types.js";
import { GeneVocabulary } from "../tokenizer/index.js";
import { kindOf } from "../training/kinds.js";
import { trainerSettings } from "../training/options.js";
import { RankTask } from "../training/rank_task.js";
import { trainStep } from "../training/step.js";

/** Whether a device computes what it should. */
export interface ParityResult {
  readonly dtype: DType;
  /** Losses of the first training steps of a small model, nats a token. */
  readonly losses: readonly number[];
  /** Largest difference to the recorded ones, as a share of them. */
  readonly difference: number;
  /** What `difference` may be. */
  readonly tolerance: number;
  readonly agrees: boolean;
}

/** How fast a device is. */
export interface SpeedResult {
  readonly limits: NativeLimits;
  /** Steps of preset nano on cells of 128 tokens. */
  readonly tokensPerSecond: number;
  readonly steps: number;
}

/** What the self-test found of one device. */
export interface SelfTest {
  readonly device: string;
  readonly parity: readonly ParityResult[];
  readonly speed: SpeedResult;
  readonly seconds: number;
}

/**
 * Losses of those steps as the generic kernels compute them in float32, whose forward pass, gradients and optimizer the
 * tests hold against PyTorch's. A step depends on all that the earlier ones computed: masks, dropout, forward, backward
 * and the optimizer.
 */
const RECORDED: readonly number[] = [
  3.7983003826578243, 5.037615011876894, 3.5397382014006813, 4.265492095805598, 3.641518638376647,
  3.775129603778636,
];
const LEARNING_RATE = 3e-3;
/** Devices differ by roundings; of instruction sets these come to 1e-8 in float32 and 3e-5 in bf16. */
const TOLERANCE: Readonly<Record<DType, number>> = { fp32: 1e-5, bf16: 1e-3 };

const SPEED_CELLS = 16;
const SPEED_LENGTH = 128;
const SPEED_SECONDS = 2;

/** Tests a device for some seconds. Throws as `Denoiser.create`. */
export async function selfTest(device: string, signal?: AbortSignal): Promise<SelfTest> {
  const start = performance.now();
  const parity = [
    await checkParity({ device, dtype: "fp32" }, RECORDED, signal),
    await checkParity({ device, dtype: "bf16" }, RECORDED, signal),
  ];
  const speed = await measureSpeed(device, signal);
  return { device, parity, speed, seconds: (performance.now() - start) / 1000 };
}

/** Trains a small model a few steps and compares its losses with others. */
export async function checkParity(
  options: { readonly device: string; readonly dtype: DType },
  expected: readonly number[] = RECORDED,
  signal?: AbortSignal,
): Promise<ParityResult> {
  const { model, batch } = await subject({
    ...options,
    cells: 24,
    genes: 40,
    shape: { hidden: 32, blocks: 2, heads: 2, condDim: 16, timeConditioning: true },
    diffusion: { meanMatching: 1 },
  });
  using _ = model;
  const losses = await trainSteps(model, batch, { steps: expected.length, seconds: Infinity, signal });
  const difference = Math.max(
    ...losses.map((loss, i) => Math.abs(loss - (expected[i] as number)) / (expected[i] as number)),
  );
  const tolerance = TOLERANCE[options.dtype];
  return { dtype: options.dtype, losses, difference, tolerance, agrees: difference <= tolerance };
}

async function measureSpeed(device: string, signal?: AbortSignal): Promise<SpeedResult> {
  const { model, batch } = await subject({
    device,
    cells: SPEED_CELLS,
    // With this many, cells express more than fit.
    genes: 4 * SPEED_LENGTH,
    tokenizer: { maxLength: SPEED_LENGTH },
  });
  using _ = model;
  const limits = await model.native.measureLimits();
  // The first step allocates.
  await trainSteps(model, batch, { steps: 1, seconds: SPEED_SECONDS, signal });
  const start = performance.now();
  const { length: steps } = await trainSteps(model, batch, { steps: 1000, seconds: SPEED_SECONDS, signal });
  const seconds = (performance.now() - start) / 1000;
  return { limits, tokensPerSecond: (steps * batch.tokens.length) / seconds, steps };
}

/** A fresh model and simulated cells for it, the same on every machine. */
async function subject(
  options: Omit<DenoiserOptions, "vocabulary"> & { readonly cells: number; readonly genes: number },
): Promise<{ readonly model: Denoiser; readonly batch: RaggedBatch }> {
  const { cells, genes, ...rest } = options;
  using source = new MemorySource(simulateCells({ cells, genes, seed: 1 }).cells);
  const model = await Denoiser.create({
    ...rest,
    values: "ranks",
    vocabulary: GeneVocabulary.from(source),
    seed: 1,
  });
  const { batch } = await tokenizeRows(source, model.tokenizer, rowRange(0, cells));
  return { model, batch };
}

/** Losses of steps on one batch, as many as fit in a time. */
async function trainSteps(
  model: Denoiser,
  batch: RaggedBatch,
  options: { readonly steps: number; readonly seconds: number; readonly signal: AbortSignal | undefined },
): Promise<number[]> {
  const settings = trainerSettings({}, kindOf(model));
  const deadline = performance.now() + 1000 * options.seconds;
  const losses: number[] = [];
  do {
    const step = losses.length + 1;
    const input = await new RankTask(model).stepInput([batch], { seed: settings.seed, step });
    const { signal } = options;
    losses.push((await trainStep(model, input, settings, { learningRate: LEARNING_RATE, signal })).loss);
  } while (losses.length < options.steps && performance.now() < deadline);
  return losses;
}
