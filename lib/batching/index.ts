export {
  CLS_GENE,
  END_GENE,
  FIRST_RANK_TOKEN,
  PAD_GENE,
  type RaggedBatch,
  SPECIAL_TOKEN,
} from "../tokenizer/ragged_batch.js";
export { cellCount, cellLengths, concatenateBatches, selectCells, splitBatch } from "./collate.js";
export { type BatchLimit, cutBatches } from "./limit.js";
export { BatchLoader, type BatchLoaderOptions } from "./loader.js";
export type { PlanOptions } from "./plan.js";
export { type BatchPosition, FIRST_POSITION, type LoadedBatch } from "./producer.js";
export {
  type StreamCellsOptions,
  type StreamRowsOptions,
  streamCells,
  streamRows,
  tokenizeRows,
} from "./rows.js";
export { type CellRange, cutShare, type Share, WHOLE } from "./share.js";
export { type BatchBounds, validateBatch } from "./validate.js";
