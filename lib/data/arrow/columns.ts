import {
  type Data,
  DataType,
  type Dictionary,
  type Float,
  type Int,
  Int32,
  Int64,
  makeData,
  Utf8,
  Vector,
} from "apache-arrow";
import { type Column, columnOf } from "../sources/frame.js";
import { type NumberArray, toFloat32 } from "../sources/number_array.js";
import type { GroupRows } from "../sources/parts.js";
import type { ColumnPlace } from "./column_places.js";
import type { ArrowBatch, ArrowFile } from "./file.js";
import { decoded } from "./messages.js";
import { arrowKind, isNumber, isText, listElement } from "./types.js";

const MISSING_INT = -(2 ** 31);
const MAX_OFFSET = 2 ** 31 - 1;

/** Reads columns, by number, of record batches: of each, only the bytes that hold the rows asked for. */
export class ArrowColumns {
  readonly #file: ArrowFile;

  constructor(file: ArrowFile) {
    this.#file = file;
  }

  /** A column of lists of numbers: its elements as they are stored, and the bounds of each row. */
  async lists(column: number, rows: GroupRows): Promise<{ values: NumberArray; offsets: Int32Array }> {
    const { name, type, batch, place } = await this.#find(column, rows);
    const element = listElement(type);
    if (element === undefined) throw this.#file.corrupt(`column ${name} holds no lists`);
    if ((batch.nodes[place.node + 1]?.nullCount ?? 0) > 0)
      throw this.#file.corrupt(`column ${name} has missing values within lists`);
    const { start, offsets } = await this.#offsets(batch, place, DataType.isLargeList(type), rows);
    const count = offsets.at(-1) ?? 0;
    return { values: await this.#numbers(batch, place.buffer + 3, element, start, count), offsets };
  }

  /** A flat column of numbers as float32, missing ones NaN. */
  async floats(column: number, rows: GroupRows): Promise<Float32Array> {
    const { type, batch, place } = await this.#find(column, rows);
    const data = await this.#data(type, batch, place, rows);
    const values = toFloat32(data.values as NumberArray);
    if (data.nullCount === 0) return values;
    return values.map((value, row) => (data.getValid(row) ? value : Number.NaN));
  }

  /** A flat column. */
  async column(column: number, rows: GroupRows): Promise<Column> {
    const { name, type, batch, place } = await this.#find(column, rows);
    const kind = arrowKind(type);
    if (kind === undefined) throw this.#file.corrupt(`column ${name} is of type ${type}`);
    const data = await this.#data(type, batch, place, rows);
    if (DataType.isDictionary(type)) {
      data.dictionary = await this.#dictionary(type, rows.group);
      for (let row = 0; row < rows.count; row++) {
        const code = Number(data.values[row]);
        if (data.getValid(row) && !(code >= 0 && code < data.dictionary.length))
          throw this.#file.corrupt(`column ${name} has a value that is not in its dictionary`);
      }
    }
    return decoded(this.#file.name, () => {
      const values = [...new Vector([data])];
      if (!isText(type)) return columnOf(kind, values);
      // Names of cells, mostly: distinct ones are not looked for.
      return {
        kind: "strings",
        values: values.map((value) => value ?? ""),
        ...(data.nullCount > 0
          ? { missing: Uint8Array.from(values, (value) => (value === null ? 1 : 0)) }
          : {}),
      };
    });
  }

  async #find(
    column: number,
    rows: GroupRows,
  ): Promise<{ name: string; type: DataType; batch: ArrowBatch; place: ColumnPlace }> {
    const batch = await this.#file.batch(rows.group);
    const field = this.#file.schema.fields[column];
    const place = batch.columns[column];
    if (field === undefined || place === undefined) throw this.#file.corrupt(`column ${column} has gone`);
    if (batch.nodes[place.node]?.length !== batch.rows || rows.first + rows.count > batch.rows)
      throw this.#file.corrupt(`column ${field.name} has not as many rows as its batch`);
    return { name: field.name, type: field.type, batch, place };
  }

  /** Rows of a flat column as apache-arrow has them; of a column with a dictionary, its codes. */
  async #data(
    type: DataType,
    batch: ArrowBatch,
    place: ColumnPlace,
    { first, count }: { readonly first: number; readonly count: number },
  ): Promise<Data> {
    const { buffer, end } = place;
    const nullCount = batch.nodes[place.node]?.nullCount ?? 0;
    const bits = (at: number) => this.#file.read(batch, at, first, count, 1);
    // Bits begin with those of the byte that the first row is in.
    const common = {
      offset: first % 8,
      length: count,
      ...(nullCount > 0 ? { nullBitmap: await bits(buffer) } : {}),
    };
    if (DataType.isUtf8View(type)) {
      const views = await this.#file.read(batch, buffer + 1, first, count, 128);
      const variadicBuffers: Uint8Array[] = [];
      for (let at = buffer + 2; at < end; at++) variadicBuffers.push(await this.#file.whole(batch, at));
      return makeData({ type, ...common, views, variadicBuffers });
    }
    if (isText(type)) {
      const { start, offsets } = await this.#offsets(batch, place, DataType.isLargeUtf8(type), {
        first,
        count,
      });
      const data = await this.#file.read(batch, buffer + 2, start, offsets.at(-1) ?? 0, 8);
      return makeData({ type: new Utf8(), ...common, valueOffsets: offsets, data });
    }
    if (DataType.isBool(type)) return makeData({ type, ...common, data: await bits(buffer + 1) });
    if (DataType.isDictionary(type)) {
      const data = await this.#numbers(batch, buffer + 1, type.indices, first, count);
      return makeData({ type: type as Dictionary<DataType, Int32>, ...common, data: data as Int32Array });
    }
    if (!isNumber(type)) throw this.#file.corrupt(`a column is of type ${type}`);
    const data = await this.#numbers(batch, buffer + 1, type, first, count);
    return makeData({ type: type as Int, ...common, data: data as Int["TArray"] });
  }

  async #dictionary(type: Dictionary, batch: number): Promise<Vector> {
    const parts: Data[] = [];
    for (const part of await this.#file.dictionary(type.id, batch)) {
      const place = part.columns[0] ?? { node: 0, buffer: 0, end: 0 };
      parts.push(await this.#data(type.dictionary, part, place, { first: 0, count: part.rows }));
    }
    // Without parts a vector has no type.
    return parts.length === 0 ? new Vector([makeData({ type: new Utf8() })]) : new Vector(parts).memoize();
  }

  /** Where the values of rows start, and their bounds from there, ascending, [count + 1]. */
  async #offsets(
    batch: ArrowBatch,
    { buffer }: ColumnPlace,
    large: boolean,
    { first, count }: { readonly first: number; readonly count: number },
  ): Promise<{ start: number; offsets: Int32Array }> {
    const offsets = new Int32Array(count + 1);
    // A batch without rows may have no offsets at all.
    if (count === 0) return { start: 0, offsets };
    const stored = await this.#numbers(
      batch,
      buffer + 1,
      large ? new Int64() : new Int32(),
      first,
      count + 1,
    );
    const start = Number(stored[0]);
    let before = 0;
    for (let i = 0; i <= count; i++) {
      const bound = Number(stored[i]) - start;
      if (start < 0 || bound < before || bound > MAX_OFFSET)
        throw this.#file.corrupt("bounds of rows do not ascend");
      before = bound;
      offsets[i] = bound;
    }
    return { start, offsets };
  }

  async #numbers(
    batch: ArrowBatch,
    buffer: number,
    type: Int | Float,
    first: number,
    count: number,
  ): Promise<NumberArray> {
    // There are none for widths that damage may give.
    const Values = decoded(this.#file.name, () => type.ArrayType);
    const bytes = await this.#file.read(batch, buffer, first, count, 8 * Values.BYTES_PER_ELEMENT);
    return new Values(bytes.buffer as ArrayBuffer, bytes.byteOffset, count) as NumberArray;
  }
}

/** As 32-bit whole numbers; those that do not fit, or are fractions, become the least one. */
export function toInt32(values: NumberArray): Int32Array {
  if (values instanceof Int32Array) return values;
  const result = new Int32Array(values.length);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    // Low and high halves of each number: far faster than by bigint.
    const halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let i = 0; i < result.length; i++) {
      const low = halves[2 * i] as number;
      result[i] = halves[2 * i + 1] === low >> 31 ? low : MISSING_INT;
    }
    return result;
  }
  for (let i = 0; i < result.length; i++) {
    const value = values[i] as number;
    result[i] = value === (value | 0) ? value : MISSING_INT;
  }
  return result;
}
