/** What a Parquet file begins and ends with. */
export const MAGIC = Buffer.from("PAR1");

/** Parquet's numbers of physical types. */
export const Physical = {
  boolean: 0,
  int32: 1,
  int64: 2,
  int96: 3,
  float32: 4,
  float64: 5,
  byteArray: 6,
  fixed: 7,
} as const;

/** Parquet's physical types, by number. */
export const PHYSICAL_TYPES: readonly string[] = Object.keys(Physical);

/** The physical types of numbers. */
export const NUMBER_TYPES: readonly number[] = [
  Physical.int32,
  Physical.int64,
  Physical.float32,
  Physical.float64,
];

/** Types of values in Thrift's compact protocol; a boolean field's is its value. */
export const ThriftType = {
  stop: 0,
  true: 1,
  false: 2,
  byte: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  struct: 12,
} as const;
