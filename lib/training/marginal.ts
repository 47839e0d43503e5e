import type { CellSource } from "../data/sources/source.js";
import { RankBaselines } from "../evaluation/baselines.js";
import type { CellTokenizer } from "../tokenizer/index.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type RunCells, selectionOf } from "./run_data.js";
import { tokensOfSome } from "./validation_cells.js";

/** Training cells that the distributions of ranks are counted on. */
const COUNTED_CELLS = 2048;

/** What a validation is made on. */
export interface ValidatedRun {
  readonly data: RunCells;
  readonly seed: number;
  /** The cells of the validation. */
  readonly heldOut: RaggedBatch;
}

/**
 * Says so where a model knows no more of a held-out gene than which gene it is; otherwise nothing.
 * @param loss nats a masked token of the last validation
 * @param marginal the same of `geneMarginalLoss`
 */
export function marginalNotes(loss: number, marginal: number): string[] {
  if (loss < marginal) return [];
  return [
    `the model has learnt nothing yet from the other genes of a cell: ${loss.toFixed(3)} nats a masked token in validation, ` +
      `where each gene's own distribution of ranks has ${marginal.toFixed(3)}; train for more steps, or with a higher learning rate`,
  ];
}

/**
 * What the validation would give if every gene were guessed from its own distribution of ranks in training cells, without a look
 * at the rest of the cell: nats a masked token.
 */
export async function geneMarginalLoss(
  source: CellSource,
  tokenizer: CellTokenizer,
  { data, seed, heldOut }: ValidatedRun,
): Promise<number> {
  const selection = selectionOf(data, "train");
  const counted = await tokensOfSome(source, tokenizer, { selection, cells: COUNTED_CELLS, seed });
  const baselines = await RankBaselines.fit([counted], tokenizer.strategy.values);
  let loss = 0;
  let tokens = 0;
  for (const [place, token] of heldOut.tokens.entries()) {
    const rank = token - FIRST_RANK_TOKEN;
    if (rank < 0) continue;
    const { probabilities } = baselines.predict("geneMarginal", heldOut.genes[place] ?? 0);
    loss -= Math.log(probabilities?.[rank] ?? 0);
    tokens++;
  }
  return loss / tokens;
}
