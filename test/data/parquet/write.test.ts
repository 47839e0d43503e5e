import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Table, vectorFromArray } from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parquet } from "../../../lib/data/parquet/parquet.js";
import { TahoeShardWriter } from "../../../lib/data/parquet/write.js";
import type { CellBlock, Gene } from "../../../lib/data/sources/cells.js";
import { geneTokens, writeGeneTable } from "../../../lib/data/tahoe/genes_write.js";

const GENES = 70;
const genes: Gene[] = Array.from({ length: GENES }, (_, i) => ({
  id: `ENSG${String(i).padStart(11, "0")}`,
  aliases: i % 3 === 0 ? [] : [`S${i}`],
}));
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-parquet-"));
  await writeGeneTable(folder, genes, geneTokens(GENES));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Cell = readonly (readonly [number, number])[];

function blockOf(cells: readonly Cell[]): CellBlock {
  const offsets = [0];
  for (const cell of cells) offsets.push(offsets.at(-1)! + cell.length);
  return {
    rows: Int32Array.from(cells.keys()),
    offsets: Int32Array.from(offsets),
    columns: Int32Array.from(cells.flat(), ([gene]) => gene),
    counts: Float32Array.from(cells.flat(), ([, count]) => count),
  };
}

const cell = fc
  .uniqueArray(fc.integer({ min: 0, max: GENES - 1 }), { maxLength: 30 })
  .map((columns) => columns.sort((a, b) => a - b))
  .chain((columns) =>
    fc
      .array(fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.constantFrom(0.5, 1e-9, 3e7)), {
        minLength: columns.length,
        maxLength: columns.length,
      })
      .map((counts) => columns.map((column, i) => [column, Math.fround(counts[i]!)] as const)),
  );

describe("a shard in the layout of Tahoe-100M", () => {
  it("holds the cells, names and metadata that were written, however they came", async () => {
    const property = fc.asyncProperty(
      fc.array(cell, { maxLength: 40 }),
      fc.integer({ min: 1, max: 15 }),
      fc.integer({ min: 1, max: 15 }),
      fc.array(fc.constantFrom("a", "b", "größer", "", null), { minLength: 40, maxLength: 40 }),
      async (cells, step, rowGroupCells, drugs) => {
        const path = join(folder, "cells.parquet");
        const writer = await TahoeShardWriter.create(path, {
          tokens: geneTokens(GENES),
          columns: [
            { name: "drug", kind: "text" },
            { name: "dose", kind: "number" },
            { name: "control", kind: "boolean" },
          ],
          rowGroupCells,
        });
        const rows = [...cells.keys()];
        const dose = (row: number): number | null => (row % 4 === 1 ? null : row / 8);
        for (let start = 0; start < cells.length; start += step) {
          const own = rows.slice(start, start + step);
          const table = new Table({
            drug: vectorFromArray(own.map((row) => drugs[row]!)),
            dose: vectorFromArray(own.map(dose)),
            control: vectorFromArray(own.map((row) => row % 2 === 0)),
          });
          const ids = own.map((row) => `cell ${row}`);
          await writer.write(blockOf(own.map((row) => cells[row]!)), ids, table);
        }
        await writer.close();
        using source = await parquet.open(path, {});
        expect(source.cellCount).toBe(cells.length);
        expect(source.genes.map(({ id }) => id)).toEqual(genes.map(({ id }) => id));
        const all = Int32Array.from(rows);
        const read = await source.read(all);
        const expected = blockOf(cells);
        expect([...read.offsets]).toEqual([...expected.offsets]);
        expect([...read.columns]).toEqual([...expected.columns]);
        expect([...read.counts]).toEqual([...expected.counts]);
        expect(await source.cellIds(all)).toEqual(rows.map((row) => `cell ${row}`));
        if (cells.length === 0) return;
        const table = await source.metadata();
        expect([...table.getChild("drug")!]).toEqual(rows.map((row) => drugs[row]));
        expect([...table.getChild("dose")!]).toEqual(rows.map(dose));
        expect([...table.getChild("control")!]).toEqual(rows.map((row) => row % 2 === 0));
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it("has checksums, by which a changed value is noticed", async () => {
    const path = join(folder, "changed.parquet");
    const writer = await TahoeShardWriter.create(path, { tokens: geneTokens(GENES) });
    await writer.write(blockOf([[[1, 123.5]]]), ["a"]);
    await writer.close();
    const bytes = await readFile(path);
    const value = Buffer.alloc(4);
    value.writeFloatLE(123.5);
    const at = bytes.indexOf(value);
    expect(at).toBeGreaterThan(0);
    bytes[at]! ^= 1;
    await writeFile(path, bytes);
    using source = await parquet.open(path, {});
    await expect(source.read(Int32Array.of(0))).rejects.toMatchObject({
      code: "DATA_CORRUPT",
      message: expect.stringContaining("checksum"),
    });
  });

  it("is not there before it is complete, and leaves nothing when it is given up", async () => {
    const path = join(folder, "given_up.parquet");
    const writer = await TahoeShardWriter.create(path, { tokens: geneTokens(GENES) });
    await writer.write(blockOf([[[1, 1]]]), ["a"]);
    expect(await readdir(folder)).not.toContain("given_up.parquet");
    await writer.abort();
    expect((await readdir(folder)).filter((name) => name.startsWith("given_up"))).toEqual([]);
    await expect(writer.close()).rejects.toMatchObject({ code: "FILE_WRITE" });
  });

  it("refuses names of the wrong number, columns without token and names given twice", async () => {
    const path = join(folder, "refused.parquet");
    const tokens = geneTokens(3);
    const twice = TahoeShardWriter.create(path, { tokens, columns: [{ name: "genes", kind: "text" }] });
    await expect(twice).rejects.toMatchObject({ code: "ARGUMENT_NAME" });
    const short = await TahoeShardWriter.create(path, { tokens });
    await expect(short.write(blockOf([[[1, 1]]]), [])).rejects.toMatchObject({ code: "ARGUMENT_LENGTH" });
    const unknown = await TahoeShardWriter.create(path, { tokens, rowGroupCells: 1 });
    await expect(unknown.write(blockOf([[[5, 1]]]), ["a"])).rejects.toMatchObject({ code: "ARGUMENT_RANGE" });
    await expect(TahoeShardWriter.create(join(folder, "no/such.parquet"), { tokens })).rejects.toMatchObject({
      code: "FILE_WRITE",
    });
    expect((await readdir(folder)).filter((name) => name.startsWith("refused"))).toEqual([]);
  });
});
