import { Purpose, RandomStream } from "../lib/base/random.js";
import { defaultDiffusion, drawNoise } from "../lib/diffusion/index.js";
import { modelConfig, type PresetName } from "../lib/model/config.js";
import { Denoiser } from "../lib/model/denoiser.js";
import { NativeDenoiser } from "../lib/native/denoiser.js";
import type { DenoiserConfig, DType, NativeBatch } from "../lib/native/types.js";
import { maskToken, sample } from "../lib/sampling/index.js";
import { DEFAULT_RANKS, GeneVocabulary } from "../lib/tokenizer/index.js";
import { benchBatch, evenLengths } from "./inputs.js";

/** What can be measured. */
export const subjectKinds = ["train step", "forward", "inpaint"] as const;
export type SubjectKind = (typeof subjectKinds)[number];

/** What a subject is made of: a model with fresh weights and random cells. */
export interface SubjectOptions {
  readonly preset: PresetName;
  /** Cells. */
  readonly batch: number;
  /** Tokens of each cell. */
  readonly length: number;
  /** Genes of the vocabulary. */
  readonly genes: number;
  readonly dtype: DType;
  readonly device: string;
  readonly dropout: number;
  /** Ancestral steps of inpainting. */
  readonly samplingSteps: number;
}

/** Something whose time is measured. */
export interface Subject extends Disposable {
  /** For people: "cpu (avx512, 2 threads)". */
  readonly device: string;
  /** Model FLOPs of a run; undefined where they are not known beforehand. */
  readonly flops: number | undefined;
  /** Runs it once; for inpainting, returns how often the network ran for a cell, on average. */
  run(): Promise<number | undefined>;
}

/** Makes what is to be measured, on cells of one length. */
export async function openSubject(what: SubjectKind, options: SubjectOptions): Promise<Subject> {
  const lengths = evenLengths(options.batch, options.length);
  switch (what) {
    case "train step":
      return trainStep(options, lengths);
    case "forward":
      return forward(options, lengths);
    case "inpaint":
      return inpaint(options, lengths);
  }
}

/** A training step on cells of these lengths: masking, forward, loss with mean matching, backward, clipping, AdamW and EMA. */
export async function trainStep(options: SubjectOptions, lengths: Int32Array): Promise<Subject> {
  const { config, native } = await benchModel(options, true);
  const batch = benchBatch(lengths, options.genes);
  const diffusion = { ...defaultDiffusion, antithetic: false, meanMatching: 1 };
  let step = 0;
  return {
    device: native.device,
    flops: 3 * forwardFlops(config, lengths),
    run: async () => {
      step++;
      const { moveChance, noise } = drawNoise(diffusion, batch.cells, {
        seed: 0,
        step,
        values: DEFAULT_RANKS,
      });
      await native.accumulate(
        { batch, masking: { kind: "draw", moveChance, seed: 0, step }, noise, objective: { kind: "subs" } },
        { gradientScale: 1 / batch.tokens.length, dropoutSeed: 0, step },
      );
      await native.update({
        learningRate: 3e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0,
        emaDecay: 0.9999,
        maxNorm: 1,
        step,
      });
      return undefined;
    },
    [Symbol.dispose]: () => native[Symbol.dispose](),
  };
}

/** A forward pass, the logits of every token included. */
async function forward(options: SubjectOptions, lengths: Int32Array): Promise<Subject> {
  const { config, native } = await benchModel(options, false);
  const batch = benchBatch(lengths, options.genes);
  const conditioning = new Float32Array(lengths.length);
  const rows = Int32Array.from(batch.tokens.keys());
  return {
    device: native.device,
    flops: forwardFlops(config, lengths),
    run: async () => {
      using _prediction = await native.predict(batch, { conditioning, rows });
      return undefined;
    },
    [Symbol.dispose]: () => native[Symbol.dispose](),
  };
}

/** Filling in half of each cell by ancestral steps. */
async function inpaint(options: SubjectOptions, lengths: Int32Array): Promise<Subject> {
  const { preset, device, dtype, genes, samplingSteps } = options;
  const vocabulary = GeneVocabulary.fromIds(Array.from({ length: genes - 3 }, (_, gene) => `gene ${gene}`));
  const model = await Denoiser.create({
    values: "ranks",
    preset,
    device,
    dtype,
    vocabulary,
    trainable: false,
  });
  const batch = halfMasked(benchBatch(lengths, genes), maskToken(model));
  return {
    device: model.device,
    flops: undefined,
    run: async () => {
      const { networkEvaluations } = await sample(model, batch, {
        sampler: { kind: "ancestral", steps: samplingSteps },
      });
      return networkEvaluations.reduce((sum, count) => sum + count, 0) / lengths.length;
    },
    [Symbol.dispose]: () => model[Symbol.dispose](),
  };
}

function halfMasked(batch: NativeBatch, mask: number): NativeBatch {
  const random = new RandomStream(0, Purpose.mask);
  return { ...batch, tokens: batch.tokens.map((token) => (random.uniform() < 0.5 ? mask : token)) };
}

async function benchModel(
  options: SubjectOptions,
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

/**
 * Model FLOPs of one pass over cells of these lengths: two for each multiply-add with a weight of a block or of the
 * head, and those of attention; a training step takes three times as many.
 */
export function forwardFlops(config: DenoiserConfig, lengths: Int32Array): number {
  const weights = 12 * config.blocks * config.hidden ** 2 + config.vocabSize * config.hidden;
  let flops = 0;
  for (const length of lengths)
    flops += 2 * weights * length + 4 * config.blocks * config.hidden * length ** 2;
  return flops;
}
