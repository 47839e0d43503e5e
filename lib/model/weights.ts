import { DdscError } from "../base/errors.js";
import type { NativeDenoiser } from "../native/denoiser.js";
import type { ParameterBuffer, ParameterInfo } from "../native/types.js";
import { SafetensorsFile, type TensorEntry, writeSafetensors } from "./safetensors.js";

/** What published checkpoints put before the names of the denoiser's parameters. */
const PUBLISHED_PREFIX = "backbone.";

/** How many problems an error lists before it only counts them. */
const LISTED = 8;

/** A buffer of a model and the prefix that its tensors have in a file. */
export interface BufferInFile {
  readonly buffer: ParameterBuffer;
  /** "" for weights, so that they have the published names. */
  readonly prefix: string;
}

/** Writes buffers of a model to a new file, tensor by tensor; see `writeSafetensors` for atomicity and errors. */
export async function writeBuffers(
  native: Pick<NativeDenoiser, "parameters" | "read">,
  path: string,
  buffers: readonly BufferInFile[],
): Promise<void> {
  const tensors = buffers.flatMap(({ buffer, prefix }) =>
    native.parameters.map(({ name, shape, offset, size }) => ({
      name: prefix + name,
      shape,
      read: () => native.read(buffer, offset, size),
    })),
  );
  await writeSafetensors(path, tensors, { format: "ddsc" });
}

/**
 * Reads every parameter from a file into one or more buffers. A parameter is the tensor `prefix + name`, or, without
 * a prefix, the published `backbone.` + name. Nothing is changed unless all of them are there and fit.
 *
 * @param into buffers that get the values
 * @param prefix as written by `writeBuffers`
 * @returns names in the file that are no parameter of the model, such as buffers of a published noise schedule
 *
 * Throws `CHECKPOINT_TENSORS` naming each tensor that is missing or has another shape, and as `SafetensorsFile`.
 */
export async function readBuffers(
  native: Pick<NativeDenoiser, "parameters" | "write">,
  path: string,
  into: readonly ParameterBuffer[],
  prefix = "",
): Promise<readonly string[]> {
  await using file = await SafetensorsFile.open(path);
  const sources = matchTensors(native.parameters, file, prefix);
  for (const [parameter, { name }] of sources) {
    const values = await file.read(name);
    for (const buffer of into) await native.write(buffer, parameter.offset, values);
  }
  const used = new Set([...sources.values()].map(({ name }) => name));
  return [...file.tensors.keys()].filter((name) => !used.has(name));
}

function matchTensors(
  parameters: readonly ParameterInfo[],
  file: SafetensorsFile,
  prefix: string,
): Map<ParameterInfo, TensorEntry> {
  const sources = new Map<ParameterInfo, TensorEntry>();
  const problems: string[] = [];
  for (const parameter of parameters) {
    const { name, shape } = parameter;
    const published = prefix === "" ? file.tensors.get(PUBLISHED_PREFIX + name) : undefined;
    const entry = file.tensors.get(prefix + name) ?? published;
    if (entry === undefined) problems.push(`${prefix}${name} is missing`);
    else if (entry.shape.length !== shape.length || entry.shape.some((length, i) => length !== shape[i])) {
      problems.push(`${prefix}${name} is [${entry.shape.join(", ")}] and should be [${shape.join(", ")}]`);
    } else sources.set(parameter, entry);
  }
  if (problems.length === 0) return sources;
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  throw new DdscError(
    "CHECKPOINT_TENSORS",
    `${file.file}: its tensors do not fit the model: ${problems.slice(0, LISTED).join("; ")}${more}; ` +
      "give the model the shape and the vocabulary that the weights were trained with",
    { file: file.file },
  );
}
