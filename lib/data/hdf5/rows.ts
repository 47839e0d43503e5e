import { positionsByRow, type RowRun, rowRuns } from "../sources/count_matrix.js";
import type { DatasetInfo, Hdf5File } from "./file.js";
import type { NumberArray } from "./types.js";

/** Rows this near to each other are read together, and so many at once. */
const GAP = 64;
const ROWS_AT_ONCE = 1 << 14;

/** Numbers of a one-dimensional dataset in the order of `rows`; all of them if undefined. */
export function numbersAt(file: Hdf5File, info: DatasetInfo, rows: Int32Array | undefined): NumberArray {
  if (rows === undefined) return file.numbers(info, 0, info.shape[0] ?? 0);
  let values: NumberArray | undefined;
  eachRun(rows, (run, places) => {
    const found = file.numbers(info, run.first, run.end - run.first);
    values ??= new (found.constructor as unknown as new (length: number) => NumberArray)(rows.length);
    for (const place of places) values[place] = found[(rows[place] ?? 0) - run.first] ?? 0;
  });
  return values ?? file.numbers(info, 0, 0);
}

/** Strings of a one-dimensional dataset in the order of `rows`; all of them if undefined. */
export function stringsAt(file: Hdf5File, path: string, rows: Int32Array | undefined): string[] {
  if (rows === undefined) return file.allStrings(path);
  const texts = new Array<string>(rows.length);
  eachRun(rows, (run, places) => {
    const found = file.strings(path, run.first, run.end - run.first);
    for (const place of places) texts[place] = found[(rows[place] ?? 0) - run.first] ?? "";
  });
  return texts;
}

/** Runs of neighbours among `rows`, ascending, each with the places of its rows. */
function eachRun(rows: Int32Array, read: (run: RowRun, places: Uint32Array) => void): void {
  const positions = positionsByRow(rows);
  let next = 0;
  for (const run of rowRuns(rows, GAP, ROWS_AT_ONCE)) {
    const first = next;
    while (next < positions.length && (rows[positions[next] ?? 0] ?? 0) < run.end) next++;
    read(run, positions.subarray(first, next));
  }
}
