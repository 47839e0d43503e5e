/** Checks of arguments' kinds, for callers without types: a wrong one is told by name, as `ARGUMENT_TYPE`. */
import { wrongType } from "./errors.js";
import { isObject } from "./json.js";

/** Kinds of arguments: whether a value is of it, and what to call it. */
const KINDS = {
  switch: [(value: unknown) => typeof value === "boolean", "true or false"],
  text: [(value: unknown) => typeof value === "string", "a text"],
  function: [(value: unknown) => typeof value === "function", "a function"],
  signal: [(value: unknown) => value instanceof AbortSignal, "an AbortSignal"],
  rows: [(value: unknown) => value instanceof Int32Array, "an Int32Array of row numbers"],
  object: [isObject, "an object"],
  options: [isObject, "an object of options"],
  list: [(value: unknown) => Array.isArray(value), "an array"],
  texts: [
    (value: unknown) => Array.isArray(value) && value.every((each) => typeof each === "string"),
    "an array of texts",
  ],
  integers: [(value: unknown) => value instanceof Int32Array, "an Int32Array"],
  floats: [(value: unknown) => value instanceof Float32Array, "a Float32Array"],
  doubles: [(value: unknown) => value instanceof Float64Array, "a Float64Array"],
  numbers: [
    (value: unknown) => Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value),
    "an array of numbers",
  ],
  /** A `DenoisingModel`. */
  model: [(value: unknown) => isObject(value) && "config" in value && isObject(value.config), "a Denoiser"],
  /** A `CellSource`. */
  cells: [(value: unknown) => has(value, "read"), "cells, such as await openCells(path),"],
  /** A `CellTokenizer`. */
  tokenizer: [(value: unknown) => has(value, "tokenize"), "a CellTokenizer"],
  /** A `RaggedBatch`. */
  batch: [isBatch, "a batch of offsets, genes and tokens (Int32Array) and cells (Float64Array)"],
  /** `GeneMapping.panels`. */
  panels: [
    (value: unknown) => Array.isArray(value) && value.every((each) => each instanceof Int32Array),
    "an array of the gene ids (Int32Array) of each panel, such as tokenizer.map(cells).panels,",
  ],
  /** A `CountBase`. */
  base: [
    (value: unknown) => has(value, "estimateDepth"),
    "a CountBase, such as new DepthStatistics(...).base(),",
  ],
  /** Several `Condition`. */
  conditions: [
    (value: unknown) =>
      Array.isArray(value) && value.every((each) => isObject(each) && "kind" in each && "name" in each),
    "an array of conditions, such as those of learnConditions,",
  ],
  /** A `CellConditions`. */
  told: [(value: unknown) => has(value, "of"), "a CellConditions, such as CellConditions.none([]),"],
  batches: [
    (value: unknown) => has(value, Symbol.iterator) || has(value, Symbol.asyncIterator),
    "batches to go through",
  ],
} as const;

/** A kind of argument. */
export type ArgumentKind = keyof typeof KINDS;

/** Throws `ARGUMENT_TYPE` unless the value is of the kind. */
export function checkKind(argument: string, value: unknown, kind: ArgumentKind): void {
  const [isOfKind, name] = KINDS[kind];
  if (!isOfKind(value)) throw wrongType(argument, value, name);
}

/** Throws `ARGUMENT_TYPE` for options that are no object, and for those of them that are given and not of their kind. */
export function checkOptions(options: unknown, kinds: Readonly<Record<string, ArgumentKind>> = {}): void {
  checkKind("options", options, "options");
  for (const [name, kind] of Object.entries(kinds)) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) checkKind(name, value, kind);
  }
}

/** Whether a value has a method. */
function has(value: unknown, method: PropertyKey): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Record<PropertyKey, unknown>)[method] === "function"
  );
}

function isBatch(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { offsets, genes, tokens, cells, counts, panels } = value;
  return (
    [offsets, genes, tokens].every((array) => array instanceof Int32Array) &&
    cells instanceof Float64Array &&
    [counts, panels].every((array) => array === undefined || array instanceof Int32Array)
  );
}
