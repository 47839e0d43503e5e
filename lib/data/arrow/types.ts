import {
  DataType,
  type Float,
  type Int,
  type LargeUtf8,
  Precision,
  type Utf8,
  type Utf8View,
} from "apache-arrow";
import type { MetadataColumn } from "../sources/source.js";

/** What a flat column holds for metadata; undefined where it is of another type. */
export function arrowKind(type: DataType): MetadataColumn["kind"] | undefined {
  if (isText(DataType.isDictionary(type) ? type.dictionary : type)) return "text";
  if (DataType.isBool(type)) return "boolean";
  return isNumber(type) ? "number" : undefined;
}

/** The type of the numbers that a column has lists of; undefined where it holds something else. */
export function listElement(type: DataType | undefined): Int | Float | undefined {
  if (!DataType.isList(type) && !DataType.isLargeList(type)) return undefined;
  const element: DataType | undefined = type.children[0]?.type;
  return element !== undefined && isNumber(element) ? element : undefined;
}

export function isText(type: DataType): type is Utf8 | LargeUtf8 | Utf8View {
  return DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type);
}

/** Numbers of 16 bits with a fraction are passed over. */
export function isNumber(type: DataType): type is Int | Float {
  return DataType.isInt(type) || (DataType.isFloat(type) && type.precision !== Precision.HALF);
}
