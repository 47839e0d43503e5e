/** A model's shape as the addon takes it, and its list of the parameters, without the model. */
import { callAddon } from "./addon.js";
import type { CountShape, DenoiserConfig, ParameterInfo } from "./types.js";

/** A shape as the addon takes it. */
export type AddonConfig = Omit<DenoiserConfig, "counts"> & {
  readonly counts?: Omit<CountShape, "conditions"> & { readonly conditions: Int32Array };
};

/** A model's shape as the addon takes it. */
export function addonConfig({ counts, ...config }: DenoiserConfig): AddonConfig {
  if (counts === undefined) return config;
  return { ...config, counts: { ...counts, conditions: Int32Array.from(counts.conditions) } };
}

/** The addon's function, as it is exported. */
interface ParametersAddon {
  modelParameters(config: AddonConfig): ParameterInfo[];
}

/** The parameters that a model of this shape would have; takes no memory for them. Throws `MODEL_CONFIG` for a shape that cannot be. */
export function modelParameters(config: DenoiserConfig): readonly ParameterInfo[] {
  return callAddon((addon: ParametersAddon) => addon.modelParameters(addonConfig(config)));
}
