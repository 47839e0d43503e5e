import { type AttributeValue, type HierarchyWriter, numberType } from "../hierarchy_writer.js";
import type { NumberArray } from "../sources/number_array.js";
import { ARRAY, MAPPING, STRINGS } from "./encodings.js";
import { checkName } from "./write_checks.js";

/** Something to store under `uns`; `null` entries are not stored. */
export type UnstructuredValue =
  | AttributeValue
  | NumberArray
  | null
  | { readonly [name: string]: UnstructuredValue };

/** Writes a value of `uns` as the group or array `path`; `file` is for messages. Throws `ARGUMENT_NAME`. */
export async function writeUnstructured(
  writer: HierarchyWriter,
  file: string,
  path: string,
  value: UnstructuredValue,
): Promise<void> {
  if (value === null) return;
  if (typeof value === "string") {
    await writer.dataset(path, "string", [], [value], {
      "encoding-type": "string",
      "encoding-version": "0.2.0",
    });
  } else if (typeof value === "number" || typeof value === "boolean") {
    const scalar = { "encoding-type": "numeric-scalar", "encoding-version": "0.2.0" };
    if (typeof value === "boolean")
      await writer.dataset(path, "boolean", [], Uint8Array.of(Number(value)), scalar);
    else if (Number.isSafeInteger(value))
      await writer.dataset(path, "int64", [], BigInt64Array.of(BigInt(value)), scalar);
    else await writer.dataset(path, "float64", [], Float64Array.of(value), scalar);
  } else if (ArrayBuffer.isView(value)) {
    await writer.dataset(path, numberType(value), [value.length], value, ARRAY);
  } else if (Array.isArray(value)) {
    const strings = value.every((item) => typeof item === "string");
    if (strings) await writer.dataset(path, "string", [value.length], value, STRINGS);
    else await writer.dataset(path, "float64", [value.length], Float64Array.from(value, Number), ARRAY);
  } else {
    await writer.group(path, MAPPING);
    for (const [name, member] of Object.entries(value)) {
      checkName(file, "uns entry", name);
      await writeUnstructured(writer, file, `${path}/${name}`, member);
    }
  }
}
