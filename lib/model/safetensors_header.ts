import { DdscError } from "../base/errors.js";
import { eachOutermostName, isObject, parseJson } from "../base/json.js";

/** Bytes of one element of each type of the format. */
const BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
  C64: 8,
};

/** Bytes of a header; the format itself allows 100 MB, which would take seconds and gigabytes to look at. */
export const MAX_HEADER_BYTES = 16 * 2 ** 20;
/** Tensors of a file; the largest model that there can be has some thousand. */
const MAX_TENSORS = 1 << 16;
/** Bytes before the header: its length as a 64-bit little-endian number. */
export const PREFIX_BYTES = 8;

/** One tensor of a file. */
export interface TensorEntry {
  readonly name: string;
  /** Element type as the file writes it: F32, BF16, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** Bounds in the data section, bytes. */
  readonly begin: number;
  readonly end: number;
}

/** What a file's header says. */
export interface SafetensorsHeader {
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** `CHECKPOINT_CORRUPT` for a file that does not follow the format. */
export function corrupt(file: string, problem: string): DdscError {
  return new DdscError(
    "CHECKPOINT_CORRUPT",
    `${file}: ${problem}; the file is damaged, incomplete or not in the safetensors format: copy or convert it again`,
    { file },
  );
}

/**
 * Checks and decodes a header.
 * @param bytes the JSON text, without the length before it
 * @param dataBytes length of the data section that follows
 *
 * Throws `CHECKPOINT_CORRUPT` for anything but a header of the format whose tensors cover the data section exactly,
 * without holes or overlaps, and `CHECKPOINT_DTYPE` for a type that this version does not know.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, file: string): SafetensorsHeader {
  const names = new Set<string>();
  const eachName = (name: string) => {
    // Parsing keeps the last of two entries of one name; a file with such has two meanings.
    if (names.has(name)) throw corrupt(file, `tensor "${name}" is listed twice`);
    names.add(name);
    if (names.size > MAX_TENSORS) throw corrupt(file, `its header lists more than ${MAX_TENSORS} tensors`);
  };
  let json: unknown;
  try {
    json = parseJson(bytes);
    eachOutermostName(bytes, eachName);
  } catch (error) {
    throw error instanceof DdscError ? error : corrupt(file, "its header is not JSON");
  }
  if (!isObject(json)) throw corrupt(file, "its header is not a JSON object");
  const tensors = new Map<string, TensorEntry>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = parseMetadata(value, file);
    else tensors.set(name, parseEntry(name, value, file));
  }
  checkCoverage(tensors, dataBytes, file);
  return { metadata, tensors };
}

/** The first bytes of a file of float32 tensors in this order: length, header, and spaces up to a multiple of 8. */
export function formatHeader(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set("__metadata__", metadata);
  let begin = 0;
  for (const { name, shape } of tensors) {
    if (name === "__metadata__" || entries.has(name)) {
      throw new DdscError(
        "CHECKPOINT_NAME",
        `tensor name "${name}" is reserved or given twice; rename the tensor`,
      );
    }
    const end = begin + 4 * elements(shape);
    entries.set(name, { dtype: "F32", shape, data_offsets: [begin, end] });
    begin = end;
  }
  // Not Object.fromEntries + stringify: an object would move integer-like names to the front.
  const fields = [...entries].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const text = new TextEncoder().encode(`{${fields.join(",")}}`);
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(PREFIX_BYTES + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, PREFIX_BYTES);
  return bytes;
}

/** Number of elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function parseEntry(name: string, value: unknown, file: string): TensorEntry {
  if (!isObject(value)) throw corrupt(file, `tensor "${name}" is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw corrupt(file, `tensor "${name}" has no type`);
  const bytes = Object.hasOwn(BYTES, dtype) ? BYTES[dtype] : undefined;
  if (bytes === undefined) {
    throw new DdscError(
      "CHECKPOINT_DTYPE",
      `${file}: tensor "${name}" has the unknown type ${dtype}; convert it to F32, BF16 or F16`,
      { file },
    );
  }
  if (!isNaturals(shape)) throw corrupt(file, `tensor "${name}" has no proper shape`);
  if (!isNaturals(offsets) || offsets.length !== 2)
    throw corrupt(file, `tensor "${name}" has no proper offsets`);
  const [begin, end] = offsets as [number, number];
  const size = elements(shape);
  // In this order: a product too large for exact arithmetic never equals a length that is exact.
  if (!Number.isSafeInteger(size * bytes) || end - begin !== size * bytes) {
    throw corrupt(
      file,
      `tensor "${name}" [${shape.join(", ")}] of ${dtype} does not fill its bytes ${begin}..${end}`,
    );
  }
  return { name, dtype, shape, size, begin, end };
}

function parseMetadata(value: unknown, file: string): Readonly<Record<string, string>> {
  if (isObject(value) && Object.values(value).every((entry) => typeof entry === "string")) {
    return value as Record<string, string>;
  }
  throw corrupt(file, "its metadata is not an object of strings");
}

/** Tensors, sorted by place, follow each other from the first byte of the data to the last. */
function checkCoverage(tensors: ReadonlyMap<string, TensorEntry>, dataBytes: number, file: string): void {
  const sorted = [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of sorted) {
    if (begin !== covered) {
      throw corrupt(file, `tensor "${name}" begins at byte ${begin} of the data instead of ${covered}`);
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    throw corrupt(file, `its tensors take ${covered} bytes but ${dataBytes} follow the header`);
  }
}

function isNaturals(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
