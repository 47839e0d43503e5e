import type { MetadataColumn } from "../sources/cells.js";
import type { CategoricalColumn, Column } from "../sources/frame.js";
import type { ArrowBatch, ArrowBuffer, ArrowFile } from "./file.js";
import type { ArrowField, ArrowType } from "./schema.js";

/** Some rows of a record batch. */
export interface BatchRows {
  readonly batch: number;
  /** First row, from 0 in the batch. */
  readonly first: number;
  readonly count: number;
}

const NONE = [0, 0] as const;
const MISSING_INT = -(2 ** 31);

/** What a flat column holds for metadata; undefined where it is of another type. */
export function arrowKind(field: ArrowField): MetadataColumn["kind"] | undefined {
  const { type } = field;
  if (type.kind === "text") return "text";
  if (field.dictionary !== undefined) return undefined;
  if (type.kind === "boolean") return "boolean";
  return type.kind === "int" || type.kind === "float" ? "number" : undefined;
}

/** Reads columns of record batches: of each, only the bytes that hold the rows asked for. */
export class ArrowColumns {
  readonly #file: ArrowFile;

  constructor(file: ArrowFile) {
    this.#file = file;
  }

  /** A column of lists of numbers: its elements as they are stored, and the bounds of each row. */
  async lists(
    field: ArrowField,
    rows: BatchRows,
    signal?: AbortSignal,
  ): Promise<{ values: NumberValues; offsets: Int32Array }> {
    const batch = await this.#file.batch(rows.batch, signal);
    const { element, type, buffer } = field;
    if (type.kind !== "list" || element === undefined)
      throw this.#file.corrupt(`column ${field.name} holds no lists`);
    this.#checkNode(field, batch, rows);
    const bounds = await this.#bounds(region(batch, buffer + 1), type.wide, rows, signal);
    const start = bounds[0] ?? 0;
    const count = (bounds.at(-1) ?? 0) - start;
    const [, missing] = batch.nodes[field.node + 1] ?? NONE;
    if (missing > 0) throw this.#file.corrupt(`column ${field.name} has missing values within lists`);
    const values = await this.#numbers(region(batch, buffer + 3), element, start, count, signal);
    return { values, offsets: Int32Array.from(bounds, (bound) => bound - start) };
  }

  /** A flat column of numbers as float32, missing ones NaN. */
  async floats(field: ArrowField, rows: BatchRows, signal?: AbortSignal): Promise<Float32Array> {
    const batch = await this.#file.batch(rows.batch, signal);
    this.#checkNode(field, batch, rows);
    const values = await this.#numbers(
      region(batch, field.buffer + 1),
      field.type,
      rows.first,
      rows.count,
      signal,
    );
    const missing = await this.#missing(field, batch, rows);
    return Float32Array.from({ length: values.length }, (_, i) =>
      missing?.[i] === 1 ? Number.NaN : Number(values[i]),
    );
  }

  /** A flat column. */
  async column(field: ArrowField, rows: BatchRows): Promise<Column> {
    const batch = await this.#file.batch(rows.batch);
    this.#checkNode(field, batch, rows);
    const mask = await this.#missing(field, batch, rows);
    const missing = mask === undefined ? {} : { missing: mask };
    const { type, dictionary, buffer } = field;
    if (dictionary !== undefined) {
      const codes = await this.#numbers(region(batch, buffer + 1), dictionary.index, rows.first, rows.count);
      return this.#coded(field, dictionary.id, rows.batch, codes, mask);
    }
    if (type.kind === "text")
      return { kind: "strings", values: await this.#texts(batch, buffer, type.wide, rows), ...missing };
    if (type.kind === "boolean") {
      const bits = await this.#bits(region(batch, buffer + 1), rows);
      return { kind: "booleans", values: bits, ...missing };
    }
    const values = await this.#numbers(region(batch, buffer + 1), type, rows.first, rows.count);
    return {
      kind: "numbers",
      values: Float64Array.from({ length: values.length }, (_, i) => Number(values[i])),
      ...missing,
    };
  }

  async #coded(
    field: ArrowField,
    id: number,
    batch: number,
    codes: NumberValues,
    missing: Uint8Array | undefined,
  ): Promise<CategoricalColumn> {
    const values: string[] = [];
    const wide = field.type.kind === "text" && field.type.wide;
    for (const part of await this.#file.dictionary(id, batch)) {
      const whole = { batch, first: 0, count: part.rows };
      for (const value of await this.#texts(part, 0, wide, whole)) values.push(value);
    }
    const own = Int32Array.from({ length: codes.length }, (_, i) =>
      missing?.[i] === 1 ? -1 : Number(codes[i]),
    );
    for (const code of own)
      if (code < -1 || code >= values.length)
        throw this.#file.corrupt(`column ${field.name} has a value that is not in its dictionary`);
    return { kind: "categories", codes: own, categories: { kind: "strings", values }, ordered: false };
  }

  async #texts(batch: ArrowBatch, buffer: number, wide: boolean, rows: BatchRows): Promise<string[]> {
    const bounds = await this.#bounds(region(batch, buffer + 1), wide, rows);
    const start = bounds[0] ?? 0;
    const read = await this.#file.read(region(batch, buffer + 2), start, (bounds.at(-1) ?? 0) - start, 8);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    return Array.from({ length: rows.count }, (_, i) =>
      bytes.toString("utf8", (bounds[i] ?? 0) - start, (bounds[i + 1] ?? 0) - start),
    );
  }

  /** Bounds of rows, ascending, [count + 1]. */
  async #bounds(
    place: ArrowBuffer,
    wide: boolean,
    rows: BatchRows,
    signal?: AbortSignal,
  ): Promise<Float64Array> {
    const bounds = new Float64Array(rows.count + 1);
    // A batch without rows may have no offsets at all.
    if (rows.count === 0) return bounds;
    const bits = wide ? 64 : 32;
    const bytes = await this.#file.read(place, rows.first, rows.count + 1, bits, signal);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let before = 0;
    for (let i = 0; i < bounds.length; i++) {
      const bound = wide ? Number(view.getBigInt64(8 * i, true)) : view.getInt32(4 * i, true);
      if (bound < before || !Number.isSafeInteger(bound))
        throw this.#file.corrupt("bounds of rows do not ascend");
      before = bound;
      bounds[i] = bound;
    }
    return bounds;
  }

  async #numbers(
    place: ArrowBuffer,
    type: ArrowType,
    first: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<NumberValues> {
    if (type.kind !== "int" && type.kind !== "float")
      throw this.#file.corrupt("numbers are expected, a column holds something else");
    const read = await this.#file.read(place, first, count, type.bits, signal);
    // Numbers of eight bytes can only be viewed at a multiple of eight.
    const { buffer, byteOffset: at } = read.byteOffset % 8 === 0 ? read : new Uint8Array(read);
    if (type.kind === "float")
      return type.bits === 32 ? new Float32Array(buffer, at, count) : new Float64Array(buffer, at, count);
    switch (type.bits) {
      case 8:
        return type.signed ? new Int8Array(buffer, at, count) : new Uint8Array(buffer, at, count);
      case 16:
        return type.signed ? new Int16Array(buffer, at, count) : new Uint16Array(buffer, at, count);
      case 32:
        return type.signed ? new Int32Array(buffer, at, count) : new Uint32Array(buffer, at, count);
      case 64:
        return new BigInt64Array(buffer, at, count);
    }
  }

  /** 1 where there is no value; undefined where all are there. */
  async #missing(field: ArrowField, batch: ArrowBatch, rows: BatchRows): Promise<Uint8Array | undefined> {
    const [, missing] = batch.nodes[field.node] ?? NONE;
    if (missing === 0) return undefined;
    return (await this.#bits(region(batch, field.buffer), rows)).map((bit) => 1 - bit);
  }

  async #bits(place: ArrowBuffer, rows: BatchRows): Promise<Uint8Array> {
    const bytes = await this.#file.read(place, rows.first, rows.count, 1);
    const shift = rows.first % 8;
    return Uint8Array.from(
      { length: rows.count },
      (_, i) => ((bytes[(i + shift) >> 3] ?? 0) >> ((i + shift) & 7)) & 1,
    );
  }

  #checkNode(field: ArrowField, batch: ArrowBatch, rows: BatchRows): void {
    if (batch.nodes[field.node]?.[0] !== batch.rows || rows.first + rows.count > batch.rows)
      throw this.#file.corrupt(`column ${field.name} has not as many rows as its batch`);
  }
}

/** Numbers as a file stores them. */
export type NumberValues =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

function region(batch: ArrowBatch, buffer: number): ArrowBuffer {
  return batch.buffers[buffer] ?? NONE;
}

/** As 32-bit whole numbers; those that do not fit, or are fractions, become the least one. */
export function toInt32(values: NumberValues): Int32Array {
  if (values instanceof Int32Array) return values;
  if (values instanceof BigInt64Array) {
    // Low and high halves of each number: far faster than by bigint.
    const halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    return Int32Array.from({ length: values.length }, (_, i) => {
      const low = halves[2 * i] as number;
      return halves[2 * i + 1] === low >> 31 ? low : MISSING_INT;
    });
  }
  return Int32Array.from(values, (value) => (value === (value | 0) ? value : MISSING_INT));
}

/** As float32. */
export function toFloat32(values: NumberValues): Float32Array {
  if (values instanceof Float32Array) return values;
  if (values instanceof BigInt64Array)
    return Float32Array.from({ length: values.length }, (_, i) => Number(values[i]));
  return Float32Array.from(values);
}
