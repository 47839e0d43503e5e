import { DdscError } from "../base/errors.js";
import { MODELS_HAVE } from "../model/weights.js";
import { quoted } from "./pickle_errors.js";
import { OpaqueObject, PickleTuple, type PickleValue, TensorReference } from "./pickle_values.js";

/** Tensors by name, in the order of the file. */
export type StateDict = ReadonlyMap<string, TensorReference>;

/** What a checkpoint holds of a model. */
export interface CheckpointWeights {
  /** The trained weights, names without `prefix`. */
  readonly weights: StateDict;
  /** What stood before the names: "backbone.". */
  readonly prefix: string;
  /** Names of tensors without the prefix: of a noise schedule, of metrics. */
  readonly others: readonly string[];
  /** Where the moving average is, if there is one. */
  readonly average: Average | undefined;
  /** The root's entries, for hyperparameters. */
  readonly root: ReadonlyMap<string, PickleValue>;
}

/** A moving average of weights: by name, or in the order of the parameters. */
export type Average =
  | { readonly kind: "named"; readonly weights: StateDict }
  | { readonly kind: "ordered"; readonly tensors: readonly TensorReference[] };

/** Keys under which trainers keep the weights. */
const STATE_KEYS = ["state_dict", "model_state_dict", "model", "module"];
/** Tensors of one state dict. */
const MOST_TENSORS = 2 ** 16;

/**
 * Finds the weights in what a checkpoint holds: a state dict, or one under `state_dict` and the like; their moving average in
 * `ema.shadow_params`, as a state dict under `ema` or `ema_state_dict`, or where Lightning's WeightAveraging puts it.
 *
 * Throws `CHECKPOINT_STATE` where there are no weights of a denoiser, or of several.
 */
export function findWeights(root: PickleValue, file: string): CheckpointWeights {
  const top = entriesOf(root);
  if (top === undefined) throw stateError(file, "it holds no dictionary");
  const nested = STATE_KEYS.map((key) => tensorsIn(top.get(key))).find((found) => found !== undefined);
  const given = nested ?? tensorsIn(root);
  if (given === undefined) throw stateError(file, "it holds no state dict of tensors");
  if (given.size > MOST_TENSORS)
    throw stateError(file, `its state dict has more than ${MOST_TENSORS} tensors`);
  const prefix = findPrefix(given, file);
  // WeightAveraging of Lightning swaps the two.
  const current = nested === undefined ? undefined : tensorsIn(top.get("current_model_state"));
  const weights = withPrefix(current ?? given, prefix);
  const average: Average | undefined =
    current === undefined ? findAverage(top, prefix) : { kind: "named", weights: withPrefix(given, prefix) };
  const others = [...given.keys()].filter((name) => !name.startsWith(prefix));
  return { weights, prefix, others, average, root: top };
}

/** Entries of a dictionary that have text for a key; undefined for anything else. */
export function entriesOf(value: PickleValue | undefined): ReadonlyMap<string, PickleValue> | undefined {
  if (!(value instanceof Map)) return undefined;
  return new Map([...value].filter((entry): entry is [string, PickleValue] => typeof entry[0] === "string"));
}

/** The tensors of a dictionary by name; undefined where there is none. */
function tensorsIn(value: PickleValue | undefined): StateDict | undefined {
  const entries = [...(entriesOf(value) ?? [])];
  const tensors = entries.filter(
    (entry): entry is [string, TensorReference] => entry[1] instanceof TensorReference,
  );
  return tensors.length === 0 ? undefined : new Map(tensors);
}

/** What stands before the names of the denoiser's parameters; the published one where there are several. */
function findPrefix(tensors: StateDict, file: string): string {
  const prefixes = [...tensors.keys()]
    .filter((name) => name === MODELS_HAVE || name.endsWith(`.${MODELS_HAVE}`))
    .map((name) => name.slice(0, -MODELS_HAVE.length));
  const [first] = prefixes;
  if (prefixes.length === 1 && first !== undefined) return first;
  if (prefixes.includes("backbone.")) return "backbone.";
  if (first === undefined) {
    const some = [...tensors.keys()].slice(0, 3).map((name) => `"${quoted(name)}"`);
    throw stateError(
      file,
      `no tensor is called ${MODELS_HAVE}, with or without a prefix; it has ${some.join(", ")}, ...`,
    );
  }
  throw stateError(
    file,
    `it has the weights of several models: ${prefixes.slice(0, 4).map(quoted).join(", ")}`,
  );
}

function withPrefix(tensors: StateDict, prefix: string): StateDict {
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function findAverage(root: ReadonlyMap<string, PickleValue>, prefix: string): Average | undefined {
  for (const key of ["ema", "ema_state_dict"]) {
    const value = root.get(key);
    const entries = entriesOf(value) ?? entriesOf(stateOf(value));
    const shadow = entries?.get("shadow_params");
    const list = shadow instanceof PickleTuple ? shadow.items : shadow;
    if (Array.isArray(list)) {
      const tensors = list.filter((item): item is TensorReference => item instanceof TensorReference);
      if (tensors.length > 0) return { kind: "ordered", tensors };
    }
    const named = tensorsIn(value) ?? tensorsIn(entries?.get("state_dict"));
    if (named === undefined) continue;
    const prefixed = withPrefix(named, prefix);
    return { kind: "named", weights: prefixed.has(MODELS_HAVE) ? prefixed : named };
  }
  return undefined;
}

function stateOf(value: PickleValue | undefined): PickleValue | undefined {
  return value instanceof OpaqueObject ? value.state : undefined;
}

function stateError(file: string, problem: string): DdscError {
  return new DdscError(
    "CHECKPOINT_STATE",
    `${file}: there are no weights of a denoiser in it: ${problem}; give a checkpoint of a masked-diffusion denoiser, or its state dict`,
    { file },
  );
}
