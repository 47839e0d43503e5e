import type { CellSource } from "../data/sources/source.js";
import { RankBaselines } from "../evaluation/baselines.js";
import type { CellTokenizer } from "../tokenizer/index.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type RunCells, selectionOf } from "./run_data.js";
import { tokensOfSome } from "./validation_cells.js";

/** Training cells that the distributions of ranks are counted on. */
const COUNTED_CELLS = 2048;

/**
 * What a validation would give if every gene were guessed from its own distribution of ranks in training cells, without a look
 * at the rest of the cell: nats a masked token. What a model has learnt is what it does better.
 * @param heldOut the cells of the validation
 */
export async function geneMarginalLoss(
  source: CellSource,
  tokenizer: CellTokenizer,
  run: { readonly data: RunCells; readonly seed: number; readonly heldOut: readonly RaggedBatch[] },
): Promise<number> {
  const { data, seed, heldOut } = run;
  const selection = selectionOf(data, "train");
  const counted = await tokensOfSome(source, tokenizer, { selection, cells: COUNTED_CELLS, seed });
  const baselines = await RankBaselines.fit([counted], tokenizer.strategy.values);
  let loss = 0;
  let tokens = 0;
  for (const batch of heldOut) {
    for (const [place, token] of batch.tokens.entries()) {
      const rank = token - FIRST_RANK_TOKEN;
      if (rank < 0) continue;
      const { probabilities } = baselines.predict("geneMarginal", batch.genes[place] ?? 0);
      loss -= Math.log(probabilities?.[rank] ?? 0);
      tokens++;
    }
  }
  return loss / tokens;
}
