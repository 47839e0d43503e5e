import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import { Denoiser, type DenoiserOptions } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import type { TrainerOptions } from "../../lib/training/options.js";

/** Simulated cells, few and small. */
export function smallSource(seed = 0, cells = 160): MemorySource {
  return new MemorySource(simulateCells({ cells, genes: 40, seed }).cells);
}

/** A model that trains in milliseconds a step, dropout included. */
export function smallModel(options: Partial<DenoiserOptions> = {}): Promise<Denoiser> {
  return Denoiser.create({
    values: "ranks",
    vocabulary: GeneVocabulary.from(smallSource()),
    shape: { hidden: 32, heads: 2, blocks: 1, condDim: 16 },
    tokenizer: { maxLength: 24 },
    seed: 5,
    ...options,
  });
}

/** Options under which everything that has to survive a kill is in use, but for a thread that is slow to start. */
export const smallOptions = {
  learningRate: 3e-3,
  batchCells: 6,
  accumulation: 2,
  lengthBuckets: true,
  seed: 11,
  worker: false,
  validation: { fraction: 0.2, every: 3, cells: 16 },
  checkpoint: { every: 2, keep: 1 },
} as const satisfies TrainerOptions;

/** All trained values of a model and of its moving average. */
export async function weightsOf(model: Denoiser): Promise<{ weights: Float32Array; ema: Float32Array }> {
  const { native } = model;
  return {
    weights: await native.read("weights", 0, native.bufferSize),
    ema: await native.read("ema", 0, native.bufferSize),
  };
}
