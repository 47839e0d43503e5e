import { DdscError } from "../base/errors.js";
import type { NativeDenoiser } from "../native/denoiser.js";
import { firstNotFinite } from "../native/finite.js";
import type { ParameterBuffer, ParameterInfo } from "../native/types.js";
import { SafetensorsFile, type TensorEntry, writeSafetensors } from "./safetensors.js";

/** What published checkpoints put before the names of the denoiser's parameters. */
const PUBLISHED_PREFIX = "backbone.";

/** A parameter that every model has, and one that only those of counts have. */
export const MODELS_HAVE = "vocab_embed.embedding";
const COUNTS_HAVE = "factor.weight";

/** How many problems an error lists before it only counts them. */
const LISTED = 8;

/** A buffer of a model and the prefix that its tensors have in a file. */
export interface BufferInFile {
  readonly buffer: ParameterBuffer;
  /** "" for weights, so that they have the published names. */
  readonly prefix: string;
}

/** Where the values of a parameter are in a file. */
export interface TensorSource {
  /** Name of the tensor, without a prefix. */
  readonly name: string;
  /**
   * Of a table whose rows are not those of the parameter: how many the tensor has, and which of them each row of the parameter
   * is, -1 for one that keeps its values.
   */
  readonly rows?: { readonly count: number; readonly of: Int32Array } | undefined;
}

/** Which tensors of a file are read. */
export interface TensorChoice {
  /** As written by `writeBuffers`; default "". */
  readonly prefix?: string;
  /** Where each parameter's values are; undefined for one that keeps its values. Default: under the parameter's name. */
  readonly sourceOf?: (parameter: string) => TensorSource | undefined;
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
 * Reads parameters from a file into one or more buffers. A parameter is the tensor `prefix + name`, or, without
 * a prefix, the published `backbone.` + name. Nothing is changed unless all of them are there and fit; where a value is not finite, some
 * are: to know before, read into no buffer.
 *
 * @param into buffers that get the values; none: the file is only checked
 * @returns names in the file that are no parameter of the model, such as buffers of a published noise schedule
 *
 * Throws `CHECKPOINT_TENSORS` naming each tensor that is missing or has another shape, or where one of file and model is of counts
 * and the other of ranks, `CHECKPOINT_NOT_FINITE`, and as `SafetensorsFile`.
 */
export async function readBuffers(
  native: Pick<NativeDenoiser, "parameters" | "read" | "write">,
  path: string,
  into: readonly ParameterBuffer[],
  choice: TensorChoice = {},
): Promise<readonly string[]> {
  await using file = await SafetensorsFile.open(path);
  const sources = matchTensors(native.parameters, file, choice);
  for (const [parameter, { entry, rows }] of sources) {
    const { offset, size } = parameter;
    const values = await file.read(entry.name);
    // Beside the writing, which takes longer.
    const checked = requireFinite(file.file, entry, values);
    checked.catch(() => undefined);
    for (const buffer of into) {
      const whole =
        rows === undefined ? values : withRows(await native.read(buffer, offset, size), values, rows);
      await native.write(buffer, offset, whole);
    }
    await checked;
  }
  const used = new Set([...sources.values()].map(({ entry }) => entry.name));
  return [...file.tensors.keys()].filter((name) => !used.has(name));
}

/**
 * Checks from a file's header that it holds these parameters in their shapes; reads nothing else and takes no memory for them. Throws
 * as `readBuffers`.
 */
export async function requireTensors(parameters: readonly ParameterInfo[], path: string): Promise<void> {
  await using file = await SafetensorsFile.open(path);
  matchTensors(parameters, file, {});
}

/** Throws `CHECKPOINT_NOT_FINITE` naming the first value of a tensor that is no number or infinite. */
export async function requireFinite(
  file: string,
  { name, shape }: Pick<TensorEntry, "name" | "shape">,
  values: Float32Array,
): Promise<void> {
  const bad = await firstNotFinite(values);
  if (bad < 0) return;
  const place: number[] = [];
  let rest = bad;
  for (const length of shape.toReversed()) {
    place.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  throw new DdscError(
    "CHECKPOINT_NOT_FINITE",
    `${file}: tensor "${name}" has ${values[bad]} at [${place.join(", ")}]; its training diverged or the file is damaged: restore it, or go on from an earlier checkpoint`,
    { file },
  );
}

/** A table with some rows replaced by those of another. */
function withRows(own: Float32Array, from: Float32Array, rows: Int32Array): Float32Array {
  const width = own.length / rows.length;
  for (const [row, source] of rows.entries())
    if (source >= 0) own.set(from.subarray(source * width, (source + 1) * width), row * width);
  return own;
}

/** The tensor of a parameter; its rows where they are not the parameter's. */
interface FoundTensor {
  readonly entry: TensorEntry;
  readonly rows: Int32Array | undefined;
}

function matchTensors(
  parameters: readonly ParameterInfo[],
  file: SafetensorsFile,
  { prefix = "", sourceOf = (name) => ({ name }) }: TensorChoice,
): Map<ParameterInfo, FoundTensor> {
  const find = (name: string) =>
    file.tensors.get(prefix + name) ??
    (prefix === "" ? file.tensors.get(PUBLISHED_PREFIX + name) : undefined);
  requireSameKind(parameters, file, (name) => find(name) !== undefined);
  const sources = new Map<ParameterInfo, FoundTensor>();
  const problems: string[] = [];
  for (const parameter of parameters) {
    const source = sourceOf(parameter.name);
    if (source === undefined) continue;
    const { name, rows } = source;
    const shape = rows === undefined ? parameter.shape : [rows.count, ...parameter.shape.slice(1)];
    const entry = find(name);
    if (entry === undefined) problems.push(`${prefix}${name} is missing`);
    else if (entry.shape.length !== shape.length || entry.shape.some((length, i) => length !== shape[i])) {
      problems.push(`${prefix}${name} is [${entry.shape.join(", ")}] and should be [${shape.join(", ")}]`);
    } else sources.set(parameter, { entry, rows: rows?.of });
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

/** Throws `CHECKPOINT_TENSORS` where weights of a model of ranks are for one of counts, or the reverse. */
function requireSameKind(
  parameters: readonly ParameterInfo[],
  file: SafetensorsFile,
  holds: (name: string) => boolean,
): void {
  const isOfCounts = parameters.some(({ name }) => name === COUNTS_HAVE);
  // A file of something else is not of ranks: its tensors are missing.
  if (!holds(MODELS_HAVE) || holds(COUNTS_HAVE) === isOfCounts) return;
  throw new DdscError(
    "CHECKPOINT_TENSORS",
    isOfCounts
      ? `${file.file}: it has the weights of a model of ranks and this model is of counts; make this one of ranks, too (--values ranks), or give weights of a model of counts`
      : `${file.file}: it has the weights of a model of counts and this model is of ranks; make this one of counts, too (leave --values ranks out), or give weights of a model of ranks`,
    { file: file.file },
  );
}
