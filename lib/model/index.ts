export {
  checkConfig,
  type ModelShape,
  modelConfig,
  type PresetName,
  presetNames,
  presets,
} from "./config.js";
export { Denoiser, type DenoiserOptions, type LoadOptions, type WeightsKind } from "./denoiser.js";
export type { LoadedWeights } from "./going_on.js";
export { findModel } from "./model_files.js";
export { SafetensorsFile, type TensorEntry, type TensorToWrite, writeSafetensors } from "./safetensors.js";
