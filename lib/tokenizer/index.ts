export { type CellCounts, type CollectedCells, collectCells } from "./cell_counts.js";
export {
  CellTokenizer,
  type CellTokenizerJson,
  type CellTokenizerOptions,
  type GeneMapping,
  type TokenizedCells,
} from "./cell_tokenizer.js";
export { SPECIAL_GENES } from "./gene_names.js";
export { DEFAULT_RANKS, QuantileRanks } from "./quantile_ranks.js";
export { addReport, describeReport, emptyReport, type TokenizerReport } from "./report.js";
export { strategyFrom } from "./strategies.js";
export type { TokenStrategy } from "./strategy.js";
export {
  type AmbiguousGene,
  type GeneMatch,
  GeneVocabulary,
  type VocabularyEntry,
  type VocabularyJson,
} from "./vocabulary.js";
