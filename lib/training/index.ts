export type { FitEnd, FitOptions, StepResult } from "./fit.js";
export {
  type LearningRateOption,
  type LearningRateSchedule,
  learningRateFactor,
  resolveSchedule,
} from "./learning_rate.js";
export { METRICS_FILE } from "./metrics.js";
export type { CheckpointOptions, TrainerOptions, TrainerSettings, ValidationOptions } from "./options.js";
export { type DataRecord, isSameData, openRunCells, recordData, splitRunCells } from "./run_data.js";
export { type BestSoFar, readRecord, type TrainingRecord, type TrainingState } from "./state.js";
export { Trainer } from "./trainer.js";
export { type ValidationResult, Validator, type ValidatorOptions } from "./validation.js";
