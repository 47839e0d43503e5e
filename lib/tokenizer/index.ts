export { type CellCounts, type CollectedCells, collectCells } from "./cell_counts.js";
export {
  CellTokenizer,
  type CellTokenizerJson,
  type CellTokenizerOptions,
} from "./cell_tokenizer.js";
export { CountTokens } from "./count_tokens.js";
export { DEFAULT_RANKS, QuantileRanks } from "./quantile_ranks.js";
export { SPECIAL_GENES } from "./ragged_batch.js";
export { addReport, describeReport, emptyReport, type TokenizerReport } from "./report.js";
export { strategyFrom } from "./strategies.js";
export type { TokenStrategy } from "./strategy.js";
export type { GeneMapping, TokenizedCells } from "./tokenized_cells.js";
export { GeneVocabulary, type VocabularyJson } from "./vocabulary.js";
export type { VocabularyEntry } from "./vocabulary_file.js";
