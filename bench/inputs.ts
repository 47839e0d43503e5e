import { FIRST_RANK_TOKEN } from "../lib/batching/batch.js";
import { modelConfig } from "../lib/model/config.js";
import { type DenoiserConfig, type NativeBatch, NativeDenoiser } from "../lib/native.js";
import { Purpose, RandomStream } from "../lib/random.js";
import { DEFAULT_RANKS } from "../lib/tokenizer/index.js";
import type { BenchOptions } from "./options.js";

const FIRST_GENE = 3;

/** The model to measure; fresh weights. */
export async function benchModel(
  options: BenchOptions,
  trainable: boolean,
): Promise<{ readonly config: DenoiserConfig; readonly native: NativeDenoiser }> {
  const config = modelConfig({
    preset: options.preset,
    changes: { dropout: options.dropout },
    values: DEFAULT_RANKS,
    geneVocabSize: options.genes,
  });
  const native = new NativeDenoiser({ config, dtype: options.dtype, device: options.device, trainable });
  await native.initialise(0);
  return { config, native };
}

/** Cells of random genes and ranks, all of the same length. */
export function benchBatch({ batch, length, genes }: BenchOptions): NativeBatch {
  const tokens = batch * length;
  const random = new RandomStream(0, Purpose.simulate);
  return {
    offsets: Int32Array.from({ length: batch + 1 }, (_, cell) => cell * length),
    genes: Int32Array.from({ length: tokens }, () => FIRST_GENE + random.below(genes - FIRST_GENE)),
    tokens: Int32Array.from({ length: tokens }, () => FIRST_RANK_TOKEN + random.below(DEFAULT_RANKS)),
    cells: Float64Array.from({ length: batch }, (_, cell) => cell),
  };
}
