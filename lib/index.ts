/** Masked discrete diffusion for single-cell gene expression: the public API. */

export { DdscError, type DdscErrorPlace } from "./base/errors.js";
export type { PublishOptions } from "./base/publish.js";
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
export type { Cluster } from "./cluster/cluster.js";
export { joinCluster } from "./cluster/join.js";
export * from "./comparison/index.js";
export { CellConditions, type ToldConditions } from "./conditions/cell_conditions.js";
export type { Condition, LabelCondition, NumberCondition } from "./conditions/condition.js";
export { type LearntConditions, learnConditions } from "./conditions/learn.js";
export {
  CellSummary,
  type CellSummaryJson,
  type LearnSummaryOptions,
  SUMMARY_WIDTH,
} from "./counts/cell_summary.js";
export { CountBase, type CountBaseJson } from "./counts/count_base.js";
export { DepthSample, type DepthSampleJson, type WantedConditions } from "./counts/depth_sample.js";
export { DepthStatistics } from "./counts/depth_statistics.js";
export { type ChosenRows, networkRows, type ToldCells } from "./counts/network_rows.js";
export { type RatePosterior, ratePosterior } from "./counts/posterior.js";
export { type SplitCounts, thinCounts } from "./counts/thin_counts.js";
export {
  type H5adContents,
  type H5adStream,
  type MatrixRows,
  type MatrixValues,
  writeH5ad,
  writeH5adStreamed,
} from "./data/anndata/h5ad_write.js";
export { type AnnDataStream, type StreamedRows, writeAnnData } from "./data/anndata/write.js";
export type { RowsGiven, SparseRows, StreamedMatrix, StreamedType } from "./data/anndata/write_matrices.js";
export type { UnstructuredValue } from "./data/anndata/write_uns.js";
export type { AmbiguousGene, GeneMatch } from "./data/genes/gene_index.js";
export type { AttributeValue } from "./data/hierarchy_writer.js";
export { openCells, openSource } from "./data/open/open_cells.js";
export type { Peers } from "./data/open/share_out.js";
export type { ColumnSummary, ValueCount } from "./data/report/column_counter.js";
export { type Conversion, type ConvertOptions, convertCells } from "./data/report/convert.js";
export type { Quantiles } from "./data/report/quantiles.js";
export { type SourceSummary, type SummariseOptions, summarise } from "./data/report/summary.js";
export { summaryText } from "./data/report/summary_text.js";
export type { CellSelection, HeldOut } from "./data/select/selection.js";
export { type CellSplit, type SplitOptions, splitCells } from "./data/select/split.js";
export { rowsWhere, WhereFilter } from "./data/select/where.js";
export * from "./data/shards/index.js";
export type { CellFrame, StreamedFrame } from "./data/sources/cell_frame.js";
export type {
  AnnDataPart,
  CellBlock,
  Gene,
  GeneColumn,
  MeasuredPanels,
  MetadataColumn,
  MetadataOptions,
  OpenOptions,
  SourceContents,
} from "./data/sources/cells.js";
export { ConcatenatedSource } from "./data/sources/concatenate.js";
export type {
  FileDescriptor,
  FilesDescriptor,
  MemoryCells,
  SourceDescriptor,
} from "./data/sources/descriptor.js";
export type { CategoricalColumn, Column, Frame, FrameRows } from "./data/sources/frame.js";
export { framesOf, tablesOf } from "./data/sources/frames.js";
export { MemorySource } from "./data/sources/memory.js";
export type { NumberArray } from "./data/sources/number_array.js";
export { simulateCells } from "./data/sources/simulate.js";
export { SimulatedSource } from "./data/sources/simulated_source.js";
export type { SimulateOptions, SimulationTruth } from "./data/sources/simulation.js";
export type {
  CellSource,
  SourceFrames,
  SourceTables,
} from "./data/sources/source.js";
export { subsetSource } from "./data/sources/subset.js";
export * from "./diffusion/index.js";
export * from "./evaluation/index.js";
export {
  type ExportedModel,
  type ExportFormat,
  type ExportOptions,
  exportModel,
} from "./exchange/export_model.js";
export {
  type ImportedCheckpoint,
  type ImportOptions,
  importCheckpoint,
} from "./exchange/import_checkpoint.js";
export type { KnownShape } from "./exchange/recognise.js";
export * from "./generation/index.js";
export * from "./imputation/index.js";
export { type ModelShape, type PresetName, presetNames, presets } from "./model/config.js";
export { Denoiser, type DenoiserOptions, type LoadOptions, type WeightsKind } from "./model/denoiser.js";
export type { LoadedWeights } from "./model/going_on.js";
export {
  type BatchShape,
  estimateMemory,
  type MachineMemory,
  type MemoryEstimate,
  type MemoryOptions,
  machineMemory,
} from "./model/memory.js";
export type { ModelDescription } from "./model/model_files.js";
export type {
  NativeCommunicator,
  NativeMembership,
  NativeNccl,
  NativeTcpJob,
} from "./native/communicator.js";
export { CountPrediction } from "./native/count_prediction.js";
export {
  type ChooseQueriesInput,
  type CountCells as CountBatch,
  type CountRows,
  chooseQueries,
  type GeneLists,
  type SummaryPool,
} from "./native/counts.js";
export { nativeCuda as cudaState, nativeDevices as devices } from "./native/devices.js";
export type {
  CountShape,
  CpuDevice,
  CudaState,
  DenoiserConfig,
  DeviceMemory,
  DType,
  GpuDevice,
  NativeCountRows as NetworkRows,
  NativeCountStatistics as CountStatistics,
  NativeDevice as Device,
  NativeLimits as DeviceLimits,
  NativeNoise as Noise,
  NativeObjective as Objective,
  OptimizerShare,
  ParameterInfo,
} from "./native/types.js";
export * from "./report/index.js";
export * from "./sampling/index.js";
export * from "./tasks/index.js";
export * from "./tensorboard/index.js";
export * from "./tokenizer/index.js";
export type { FitEnd, FitOptions, StepResult } from "./training/fit.js";
export type { LearningRateOption, LearningRateSchedule } from "./training/learning_rate.js";
export { estimateTrainingMemory, type TrainedModel, type TrainingMemory } from "./training/memory.js";
export type {
  CheckpointOptions,
  QuerySettings,
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
export * from "./watch/index.js";
