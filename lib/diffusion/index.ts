export {
  checkDiffusion,
  type DiffusionConfig,
  defaultDiffusion,
  diffusionFrom,
  requireCountDiffusion,
} from "./config.js";
export { type CellNoise, type DrawNoiseOptions, drawNoise, noiseConditioning } from "./noise.js";
export {
  lossWeight,
  type NoiseSchedule,
  noiseSchedule,
  SCHEDULE_KINDS,
  type ScheduleConfig,
  sigmaOf,
} from "./schedule.js";
