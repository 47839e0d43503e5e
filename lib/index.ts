/** Masked discrete diffusion for single-cell gene expression: the public API. */
export {
  type BatchLimit,
  BatchLoader,
  type BatchLoaderOptions,
  type BatchPosition,
  CLS_GENE,
  concatenateBatches,
  END_GENE,
  FIRST_RANK_TOKEN,
  type LoadedBatch,
  PAD_GENE,
  type RaggedBatch,
  SPECIAL_TOKEN,
  type StreamCellsOptions,
  type StreamRowsOptions,
  selectCells,
  splitBatch,
  streamCells,
  streamRows,
  tokenizeRows,
} from "./batching/index.js";
export type { ColumnSummary, ValueCount } from "./data/column_counter.js";
export { ConcatenatedSource } from "./data/concatenate.js";
export { type Conversion, type ConvertOptions, convertCells } from "./data/convert.js";
export type { CategoricalColumn, Column, Frame } from "./data/frame.js";
export { framesOf } from "./data/frames.js";
export {
  type H5adContents,
  type H5adStream,
  type MatrixRows,
  type MatrixValues,
  type StreamedType,
  type UnstructuredValue,
  writeH5ad,
  writeH5adStreamed,
} from "./data/h5ad_write.js";
export type { NumberArray } from "./data/hdf5_types.js";
export type { AttributeValue } from "./data/hdf5_writer.js";
export { openCells, openSource } from "./data/index.js";
export { MemorySource } from "./data/memory.js";
export type { CellSelection, HeldOut } from "./data/selection.js";
export { type SimulateOptions, type SimulationTruth, simulateCells } from "./data/simulate.js";
export { SimulatedSource } from "./data/simulated_source.js";
export type {
  AnnDataPart,
  CellBlock,
  CellSource,
  FileDescriptor,
  Gene,
  GeneColumn,
  MemoryCells,
  MetadataColumn,
  MetadataOptions,
  OpenOptions,
  SourceContents,
  SourceDescriptor,
  SourceFrames,
} from "./data/source.js";
export { type CellSplit, type SplitOptions, splitCells } from "./data/split.js";
export type { Quantiles } from "./data/spread.js";
export { subsetSource } from "./data/subset.js";
export { type SourceSummary, type SummariseOptions, summarise } from "./data/summary.js";
export { summaryText } from "./data/summary_text.js";
export { rowsWhere, WhereFilter } from "./data/where.js";
export * from "./diffusion/index.js";
export { DdscError, type DdscErrorPlace } from "./errors.js";
export * from "./evaluation/index.js";
export { type ModelShape, type PresetName, presetNames, presets } from "./model/config.js";
export { Denoiser, type DenoiserOptions, type LoadOptions, type WeightsKind } from "./model/denoiser.js";
export {
  type BatchShape,
  estimateMemory,
  type MachineMemory,
  type MemoryEstimate,
  type MemoryOptions,
  machineMemory,
} from "./model/memory.js";
export type { ModelDescription } from "./model/model_files.js";
export {
  type DenoiserConfig,
  type DType,
  type NativeNoise as Noise,
  type NativeObjective as Objective,
  nativeCuda as cudaState,
  nativeDevices as devices,
  type ParameterInfo,
} from "./native.js";
export type {
  CpuDevice,
  CudaState,
  DeviceMemory,
  GpuDevice,
  NativeDevice as Device,
} from "./native_devices.js";
export type { NativeLimits as DeviceLimits } from "./native_measures.js";
export * from "./sampling/index.js";
export * from "./tokenizer/index.js";
export type { FitEnd, FitOptions, StepResult } from "./training/fit.js";
export type { LearningRateOption, LearningRateSchedule } from "./training/learning_rate.js";
export { estimateTrainingMemory, type TrainingMemory } from "./training/memory.js";
export type {
  CheckpointOptions,
  TrainerOptions,
  TrainerSettings,
  ValidationOptions,
} from "./training/options.js";
export {
  type OpProfile,
  type ProfiledWork,
  type ProfileOptions,
  profileStep,
  type StepProfile,
} from "./training/profile.js";
export { type DataRecord, openRunCells, type RunCells, splitRunCells } from "./training/run_data.js";
export { type BestSoFar, readRecord, type TrainingRecord, type TrainingState } from "./training/state.js";
export { Trainer } from "./training/trainer.js";
export type { ValidationResult } from "./training/validation.js";
