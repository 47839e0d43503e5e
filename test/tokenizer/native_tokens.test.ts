import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CellBlock } from "../../lib/data/sources/cells.js";
import { CellTokenizer, GeneVocabulary, QuantileRanks } from "../../lib/tokenizer/index.js";
import { tokenizeNatively } from "../../lib/tokenizer/native_tokens.js";

const GENES = 400;
const vocabulary = GeneVocabulary.fromIds(Array.from({ length: GENES }, (_, i) => `G${(i * 7) % GENES}`));
/** Every tenth gene of the source is not in the vocabulary. */
const source = {
  name: "cells",
  genes: Array.from({ length: GENES }, (_, i) => ({ id: i % 10 === 9 ? `X${i}` : `G${i}`, aliases: [] })),
};

const count = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
  { weight: 2, arbitrary: fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }) },
);
const cell = fc.oneof(
  fc
    .uniqueArray(fc.integer({ min: 0, max: GENES - 1 }), { maxLength: 120 })
    .chain((columns) =>
      fc.tuple(
        fc.constant(columns),
        fc.array(count, { minLength: columns.length, maxLength: columns.length }),
      ),
    ),
  // Cells of many small whole counts, as real ones are.
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: GENES, maxLength: GENES }).map((counts) => {
    return [counts.map((_, column) => column), counts] as [number[], number[]];
  }),
);

function blockOf(cells: readonly (readonly [number[], number[]])[], firstRow: number): CellBlock {
  const offsets = [0];
  for (const [columns] of cells) offsets.push((offsets.at(-1) ?? 0) + columns.length);
  return {
    rows: Int32Array.from(cells.keys(), (row) => row + firstRow),
    offsets: Int32Array.from(offsets),
    columns: Int32Array.from(cells.flatMap(([columns]) => columns)),
    counts: Float32Array.from(cells.flatMap(([, counts]) => counts)),
  };
}

const options = fc.record({
  bins: fc.constantFrom(2, 3, 51, 1000),
  maxLength: fc.constantFrom(2, 10, 64, 1024),
  cls: fc.boolean(),
  selection: fc.constantFrom("sample" as const, "truncate" as const),
  minGenes: fc.constantFrom(1, 5),
  seed: fc.constantFrom(0, 7, 2 ** 40 + 3),
});

describe("native tokens", () => {
  it("are those of the definition in JavaScript, report included, for any cells and options", () => {
    const property = fc.property(
      fc.array(cell, { maxLength: 6 }),
      options,
      fc.constantFrom(0, 1, 2 ** 33),
      fc.constantFrom(0, 1_000_000),
      (cells, { bins, ...rest }, epoch, firstRow) => {
        const tokenizer = new CellTokenizer({ vocabulary, strategy: new QuantileRanks({ bins }), ...rest });
        const block = blockOf(cells, firstRow);
        const mapping = tokenizer.map(source);
        const native = tokenizeNatively(tokenizer, block, mapping, epoch);
        expect(native).toEqual(tokenizer.tokenizeHere(block, mapping, epoch));
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  it("leave a cell that must be refused to the definition, which names it", () => {
    const tokenizer = new CellTokenizer({ vocabulary });
    const mapping = tokenizer.map(source);
    for (const [columns, counts] of [
      [
        [1, 2],
        [1, -1],
      ],
      [
        [1, 2],
        [1, Number.NaN],
      ],
      [
        [1, 2],
        [1, Number.POSITIVE_INFINITY],
      ],
      [
        [2, 1, 2],
        [1, 1, 1],
      ],
    ] as const) {
      const block = blockOf([[[...columns], [...counts]]], 17);
      expect(tokenizeNatively(tokenizer, block, mapping, 0)).toBeUndefined();
      expect(() => tokenizer.tokenize(block, mapping, 0)).toThrow(/DATA_.*row 17/);
    }
  });

  it("do not read outside a block whose arrays contradict each other", () => {
    const tokenizer = new CellTokenizer({ vocabulary });
    const mapping = tokenizer.map(source);
    const good = blockOf(
      [
        [
          [1, 2],
          [1, 1],
        ],
      ],
      0,
    );
    for (const bad of [
      { ...good, offsets: Int32Array.of(0, 200) },
      { ...good, offsets: Int32Array.of(2, 0) },
      { ...good, offsets: Int32Array.of(0) },
      { ...good, columns: Int32Array.of(1, 1 << 20) },
      { ...good, columns: Int32Array.of(1, -5) },
    ]) {
      expect(tokenizeNatively(tokenizer, bad, mapping, 0)).toBeUndefined();
    }
  });
});
