/** The addon's list of a model's parameters, without the model. */
import { callAddon } from "./addon.js";
import { type AddonConfig, addonConfig } from "./denoiser.js";
import type { DenoiserConfig, ParameterInfo } from "./types.js";

/** The addon's function, as it is exported. */
interface ParametersAddon {
  modelParameters(config: AddonConfig): ParameterInfo[];
}

/** The parameters that a model of this shape would have; takes no memory for them. Throws `MODEL_CONFIG` for a shape that cannot be. */
export function modelParameters(config: DenoiserConfig): readonly ParameterInfo[] {
  return callAddon((addon: ParametersAddon) => addon.modelParameters(addonConfig(config)));
}
