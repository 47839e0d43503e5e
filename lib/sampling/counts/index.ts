export {
  type CompletedCells,
  type CompletionInput,
  type CompletionStep,
  completeCells,
  completionSteps,
} from "./complete.js";
export {
  type CellTemplate,
  type GenerateCellsOptions,
  type GeneratedCellBlock,
  type GeneratingModel,
  generateCells,
  type TemplateOf,
} from "./generate_cells.js";
export type { CountSamplingModel } from "./model.js";
export {
  COUNT_SAMPLER_KINDS,
  type CountSamplerConfig,
  type CountSamplingOptions,
  type GuidanceConfig,
} from "./options.js";
export type { CellsToComplete } from "./state.js";
