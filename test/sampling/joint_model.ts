import { type DiffusionConfig, defaultDiffusion } from "../../lib/diffusion/index.js";
import type { NativeDenoiser } from "../../lib/native/denoiser.js";
import type { NativePrediction } from "../../lib/native/types.js";
import type { DenoisingModel } from "../../lib/sampling/index.js";
import { GeneVocabulary, QuantileRanks } from "../../lib/tokenizer/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";
import type { KnownJoint } from "../known_joint.js";
import { drawOracle, type OracleRow } from "./draw_oracle.js";

/** One run of the network, as the model was asked for it. */
export interface NetworkCall {
  readonly cells: readonly number[];
  readonly conditioning: readonly number[];
  readonly tokens: number;
  readonly rows: number;
  readonly weights: "weights" | "ema" | undefined;
  /** What it was asked about each cell: all it can depend on but for the rows. */
  readonly questions: readonly string[];
}

/** A model that knows a joint distribution exactly; variable i is gene id 3 + i. */
export interface JointModel extends DenoisingModel {
  readonly calls: NetworkCall[];
  /** Predictions whose memory is not freed. */
  open: number;
}

/**
 * Predicts each token's exact distribution given the cell's unmasked tokens. With `maskMass` (d3pm) the mask token gets that
 * probability; for sedd the logits are those of the exact scores.
 */
export function jointModel(
  joint: KnownJoint,
  options: {
    readonly diffusion?: Partial<DiffusionConfig>;
    readonly maskMass?: number;
    readonly timeConditioning?: boolean;
  } = {},
): JointModel {
  const tokenCount = joint.values + 3;
  const diffusion = { ...defaultDiffusion, ...options.diffusion };
  const shift = diffusion.objective.kind === "sedd" ? Math.log(tokenCount - 1) : 0;
  const memory = new Map<string, readonly number[]>();

  const logitsOf = (batch: RaggedBatch, place: number, row: number): readonly number[] => {
    const known = new Array<number | undefined>(joint.positions).fill(undefined);
    for (let i = batch.offsets[place]!; i < batch.offsets[place + 1]!; i++) {
      const token = batch.tokens[i]!;
      if (token >= 2 && token < tokenCount - 1) known[batch.genes[i]! - 3] = token - 2;
    }
    const key = `${batch.genes[row]}:${known.join()}`;
    let logits = memory.get(key);
    if (logits === undefined) {
      const { maskMass = 0 } = options;
      const values = joint.conditional(batch.genes[row]! - 3, known);
      logits = [0, 0, ...values.map((p) => p * (1 - maskMass)), maskMass].map((p) =>
        p > 0 ? Math.log(p) + shift : -1e4,
      );
      memory.set(key, logits);
    }
    return logits;
  };

  const model: JointModel = {
    calls: [],
    open: 0,
    diffusion,
    config: {
      vocabSize: tokenCount,
      geneVocabSize: 3 + joint.positions,
      hidden: 2,
      blocks: 1,
      heads: 1,
      condDim: 1,
      dropout: 0,
      timeConditioning: options.timeConditioning ?? true,
      rotary: false,
    },
    vocabulary: GeneVocabulary.fromIds(Array.from({ length: joint.positions }, (_, i) => `gene ${i}`)),
    strategy: new QuantileRanks({ bins: joint.values }),
    inferenceWeights: "weights",
    tokenizer: { cls: false },
    native: {
      async predict(
        batch,
        { conditioning, rows: asked, weights },
        signal,
      ): ReturnType<NativeDenoiser["predict"]> {
        signal?.throwIfAborted();
        const rows: OracleRow[] = [];
        const wanted = new Set(asked);
        for (const [place, cell] of batch.cells.entries()) {
          for (let row = batch.offsets[place]!; row < batch.offsets[place + 1]!; row++) {
            if (!wanted.has(row)) continue;
            rows.push({
              logits: logitsOf(batch, place, row),
              place,
              cell,
              position: row - batch.offsets[place]!,
            });
          }
        }
        model.calls.push({
          cells: [...batch.cells],
          conditioning: [...conditioning],
          tokens: batch.tokens.length,
          rows: rows.length,
          weights,
          questions: Array.from(batch.cells, (cell, place) => {
            const tokens = batch.tokens.subarray(batch.offsets[place], batch.offsets[place + 1]);
            return `${cell}:${tokens.join()}:${model.config.timeConditioning ? conditioning[place] : ""}`;
          }),
        });
        model.open++;
        return predictionOf(rows, asked ?? new Int32Array(0), () => model.open--);
      },
    },
  };
  return model;
}

function predictionOf(rows: readonly OracleRow[], numbers: Int32Array, free: () => void): NativePrediction {
  const values = rows.map(({ logits }) => {
    const weights = logits.slice(2, -1).map(Math.exp);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  });
  return {
    rows: numbers,
    logits: async () => Float32Array.from(rows.flatMap(({ logits }) => logits)),
    statistics: async (targets) => ({
      targetLogProbability: Float32Array.from(values, (p, i) =>
        targets ? Math.log(p[targets[i]! - 2]!) : 0,
      ),
      best: Int32Array.from(values, (p) => p.indexOf(Math.max(...p)) + 2),
      bestProbability: Float32Array.from(values, (p) => Math.max(...p)),
      expectedToken: Float32Array.from(values, (p) =>
        p.reduce((sum, share, value) => sum + share * (value + 2), 0),
      ),
    }),
    draw: async (options) =>
      drawOracle(
        Array.from(options.places ?? rows.keys(), (place) => rows[place]!),
        options,
      ),
    [Symbol.dispose]: free,
  };
}

/** Cells of all variables, masked but for the evidence: `known[i]` is the value of variable i. */
export function maskedJointCells(
  joint: KnownJoint,
  count: number,
  known: readonly (number | undefined)[] = [],
): RaggedBatch {
  const { positions, values } = joint;
  const token = (i: number) => (known[i] === undefined ? values + 2 : known[i] + 2);
  return {
    offsets: Int32Array.from({ length: count + 1 }, (_, i) => i * positions),
    genes: Int32Array.from({ length: count * positions }, (_, i) => 3 + (i % positions)),
    tokens: Int32Array.from({ length: count * positions }, (_, i) => token(i % positions)),
    cells: Float64Array.from({ length: count }, (_, i) => i),
  };
}

/** How often each outcome of the joint occurs among cells of all variables, [values^positions]. */
export function countOutcomes(joint: KnownJoint, batch: RaggedBatch): number[] {
  const counts = new Array<number>(joint.probabilities.length).fill(0);
  for (const place of batch.cells.keys()) {
    const cell = batch.tokens.subarray(batch.offsets[place], batch.offsets[place + 1]);
    counts[joint.index([...cell].map((token) => token - 2))]!++;
  }
  return counts;
}
