import { CellTokenizer, CountTokens } from "../tokenizer/index.js";
import type { TrainerSettings } from "./options.js";

/**
 * How a model's cells become tokens in a run: as the model's tokenizer does it, with the run's length and seed, and with counts
 * rounded where fractional ones are allowed (ranks take them as they are).
 */
export function runTokenizer(
  { vocabulary, strategy, cls, selection, includeUnexpressed, minGenes }: CellTokenizer,
  { maxLength, seed, allowFractional }: Pick<TrainerSettings, "maxLength" | "seed" | "allowFractional">,
): CellTokenizer {
  const rounds = strategy instanceof CountTokens && allowFractional;
  return new CellTokenizer({
    vocabulary,
    strategy: rounds ? new CountTokens({ allowFractional }) : strategy,
    cls,
    selection,
    includeUnexpressed,
    minGenes,
    maxLength,
    seed,
  });
}
