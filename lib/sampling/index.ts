export * from "./counts/index.js";
export { type DenoisingModel, maskToken } from "./denoising_model.js";
export { type GeneratedCells, type GenerateOptions, generate } from "./generate.js";
export { type FilledEntries, type InpaintOptions, type InpaintResult, inpaint } from "./inpaint.js";
export { maskGenes } from "./masked_genes.js";
export { SAMPLER_KINDS, type SamplerConfig, type SamplingOptions } from "./options.js";
export { type SampledBatch, type SamplingStep, sample, sampleSteps } from "./sample.js";
export type { UnmaskingSchedule } from "./unmasking.js";
