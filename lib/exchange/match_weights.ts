import { DdscError } from "../base/errors.js";
import type { ParameterInfo } from "../native/types.js";
import { quoted } from "./pickle_errors.js";
import type { TensorReference } from "./pickle_values.js";
import type { Average, StateDict } from "./state_dict.js";

/** Problems that a message lists before it only counts them. */
const LISTED = 8;

/** The tensor of each parameter. */
export type Matched = ReadonlyMap<ParameterInfo, TensorReference>;

/** The tensors of a model's parameters. Throws `CHECKPOINT_TENSORS` naming each that is missing or has another shape. */
export function matchWeights(
  parameters: readonly ParameterInfo[],
  weights: StateDict,
  what: string,
  file: string,
): Matched {
  const matched = new Map<ParameterInfo, TensorReference>();
  const problems: string[] = [];
  for (const parameter of parameters) {
    const { name, shape } = parameter;
    const tensor = weights.get(name);
    if (tensor === undefined) problems.push(`${name} is missing`);
    else if (!isSameShape(tensor.shape, shape))
      problems.push(`${name} is [${tensor.shape.join(", ")}] and should be [${shape.join(", ")}]`);
    else matched.set(parameter, tensor);
  }
  if (problems.length === 0) return matched;
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new DdscError(
    "CHECKPOINT_TENSORS",
    `${file}: ${what} do not fit the model that they should be of: ${problems.slice(0, LISTED).join("; ")}${more}; is it the published architecture?`,
    { file },
  );
}

/**
 * The tensors of the moving average. One without names is in the order in which PyTorch lists the parameters, which is that of the state
 * dict; a parameter that shares its numbers with an earlier one is listed once. What follows are parameters of other modules.
 *
 * Throws `CHECKPOINT_TENSORS` where its tensors are not those of the parameters.
 */
export function matchAverage(
  parameters: readonly ParameterInfo[],
  weights: StateDict,
  average: Average,
  file: string,
): Matched {
  if (average.kind === "named")
    return matchWeights(parameters, average.weights, "tensors of its moving average", file);
  const names = new Set(parameters.map(({ name }) => name));
  const places = new Map<string, number>();
  const ordered = new Map<string, TensorReference>();
  for (const [name, tensor] of weights) {
    if (!names.has(name)) continue;
    const own = placeOf(tensor);
    const place = places.get(own) ?? places.size;
    places.set(own, place);
    const shadow = average.tensors[place];
    if (shadow !== undefined) ordered.set(name, shadow);
  }
  return matchWeights(
    parameters,
    ordered,
    "tensors of its moving average, in the order of the parameters,",
    file,
  );
}

/** The same for tensors that are the same numbers. */
function placeOf({ storage, offset, shape, strides }: TensorReference): string {
  return `${storage.key} ${offset} ${shape.join(",")} ${strides.join(",")}`;
}

function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** Names, cut and counted, for a line of notes. */
export function someNames(names: readonly string[]): string {
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : "";
  return `${names.slice(0, LISTED).map(quoted).join(", ")}${more}`;
}
