import { OpaqueObject, PickleTuple, type PickleValue } from "./pickle_values.js";
import { entriesOf } from "./state_dict.js";

/** A setting as hyperparameters have it. */
export type Setting = string | number | boolean;

/** Levels of dictionaries within each other that are looked into, and settings that are looked at. */
const MOST_LEVELS = 8;
const MOST_SETTINGS = 10_000;
/** Keys of a checkpoint that hold hyperparameters. */
const KEYS = ["hyper_parameters", "hparams", "config", "cfg"];

/**
 * The hyperparameters of a checkpoint by path, `model.n_heads`: those of Lightning, as dictionaries, `argparse.Namespace` or OmegaConf's
 * containers, whose values are looked up in what they were pickled as. A leading `config.` is left out.
 */
export function readSettings(root: ReadonlyMap<string, PickleValue>): ReadonlyMap<string, Setting> {
  const settings = new Map<string, Setting>();
  const visit = (given: PickleValue, path: readonly string[]): void => {
    if (settings.size >= MOST_SETTINGS || path.length > MOST_LEVELS) return;
    const value = unwrapped(given);
    const entries = entriesOf(value);
    if (entries !== undefined) {
      for (const [key, entry] of entries) visit(entry, [...path, key]);
      return;
    }
    const isSetting = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    if (!isSetting) return;
    const name = path.join(".").replace(/^(?:config|cfg)\./, "");
    if (!settings.has(name)) settings.set(name, value);
  };
  for (const key of KEYS) {
    const value = root.get(key);
    if (value !== undefined) visit(value, []);
  }
  return settings;
}

/** What an object holds: the contents of OmegaConf's containers and nodes, attributes of a namespace, the text of a path. */
function unwrapped(value: PickleValue): PickleValue {
  let inner = value;
  for (let level = 0; level < MOST_LEVELS && inner instanceof OpaqueObject; level++) {
    const { className, state, args } = inner;
    const attributes = entriesOf(state);
    if (className.startsWith("omegaconf."))
      inner = attributes?.get("_content") ?? attributes?.get("_val") ?? null;
    else if (className.startsWith("pathlib."))
      return args.filter((part): part is string => typeof part === "string").join("/");
    else inner = state;
  }
  return inner instanceof PickleTuple ? null : inner;
}
