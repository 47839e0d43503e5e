import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { checkRange, type RandomAccess } from "../../lib/data/io/random_access.js";
import { rowRange } from "../../lib/data/sources/parts.js";
import type { CellSource } from "../../lib/data/sources/source.js";

/** Path of a small file written by scripts/make-h5ad-fixtures.py. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/h5ad/${name}.h5ad`, import.meta.url));
}

/** Path of a small store written by the same script. */
export function zarrFixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/zarr/${name}`, import.meta.url));
}

/** Path of a real file that may be there, beside the repository. */
export function realFile(name: string): string {
  return fileURLToPath(new URL(`../../../shared/data/${name}`, import.meta.url));
}

/** The counts that every fixture holds: 6 cells x 5 genes. */
export const COUNTS = [
  [1, 0, 3, 0, 0],
  [0, 2, 0, 0, 7],
  [5, 1, 0, 0, 1],
  [0, 0, 0, 9, 0],
  [0, 0, 0, 0, 0],
  [2, 2, 2, 2, 2],
];
export const CELLS = ["c0", "c1", "c2", "c3", "c4", "c5"];
export const SYMBOLS = ["Xkr4", "Sox17", "Rp1", "Mrpl15", "Lypla1"];

/** Folder of the files written by scripts/make-data-fixtures.py. */
export const tahoeFolder = fileURLToPath(new URL("../fixtures/tahoe/", import.meta.url));

/** Bytes in memory in place of a file beside the fixtures; `onRead` is told the length of each piece that is read. */
export function memoryFile(bytes: Uint8Array, onRead?: (length: number) => void): RandomAccess {
  const copy = new Uint8Array(bytes);
  const name = `${tahoeFolder}damaged`;
  return {
    name,
    remote: false,
    size: copy.length,
    identity: { size: copy.length, etag: null, modified: null },
    async read(offset, length) {
      checkRange(name, copy.length, offset, length);
      onRead?.(length);
      return copy.slice(offset, offset + length);
    },
    close() {},
  };
}

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ddsc-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Rows of a source as a dense table; rows that are not asked for are not read. */
export async function denseRows(source: CellSource, rows: readonly number[]): Promise<number[][]> {
  const block = await source.read(Int32Array.from(rows));
  expect([...block.rows]).toEqual([...rows]);
  let disorder = 0;
  const result = rows.map((_, i) => {
    const dense = new Array<number>(source.genes.length).fill(0);
    for (let at = block.offsets[i]!; at < block.offsets[i + 1]!; at++) {
      const ascending = at === block.offsets[i]! || block.columns[at - 1]! < block.columns[at]!;
      if (!ascending || !(block.counts[at]! > 0)) disorder++;
      dense[block.columns[at]!] = block.counts[at]!;
    }
    return dense;
  });
  expect(disorder).toBe(0);
  return result;
}

/** All rows of a source as a dense table. */
export function denseAll(source: CellSource): Promise<number[][]> {
  return denseRows(source, [...Array(source.cellCount).keys()]);
}

/** The names of all cells of a source. */
export function allIds(source: CellSource): Promise<readonly string[]> {
  return source.cellIds(rowRange(0, source.cellCount));
}

/** The values of a metadata column, all rows. */
export async function columnValues(source: CellSource, column: string): Promise<unknown[]> {
  return [...(await source.metadata({ columns: [column] })).getChild(column)!];
}

/** The DdscError that `action` ends in; fails if it ends otherwise. */
export async function failure(action: () => unknown): Promise<DdscError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(DdscError);
    expect((error as DdscError).message).not.toContain("\n");
    return error as DdscError;
  }
  throw new Error("nothing was thrown");
}
