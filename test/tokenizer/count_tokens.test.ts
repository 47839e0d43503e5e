import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CellBlock } from "../../lib/data/sources/cells.js";
import { CellTokenizer, CountTokens, GeneVocabulary, strategyFrom } from "../../lib/tokenizer/index.js";
import { tokenizeNatively } from "../../lib/tokenizer/native_tokens.js";
import { readFixture } from "../counts/reference.js";

const strategy = new CountTokens();

function encode(counts: number[], tokens = strategy): number[] {
  const out = new Int32Array(counts.length);
  tokens.encode(Float32Array.from(counts), out);
  return [...out];
}

describe("count tokens", () => {
  it("are the reference's values, bounds and all", () => {
    const tensor = readFixture("counts");
    expect(strategy.values).toBe(177);
    expect([...strategy.low]).toEqual(tensor("tokens.low"));
    expect([...strategy.high]).toEqual(tensor("tokens.high"));
    expect(encode(tensor("tokens.encode_counts"))).toEqual(tensor("tokens.encode_values"));
  });

  it("stand for a count that has their value, the count itself below 64", () => {
    const all = Int32Array.from({ length: strategy.values }, (_, value) => value);
    const counts = strategy.decode(all);
    expect(encode([...counts])).toEqual([...all]);
    expect([...counts.subarray(0, 64)]).toEqual([...all.subarray(0, 64)]);
    expect(strategy.high[64]).toBe(69);
    expect(counts[64]).toBe(67); // (64 + 69) / 2, rounded half up
    expect(strategy.middle[64]).toBe((strategy.low[64]! + strategy.high[64]!) / 2);
    expect(strategy.logWidth[63]).toBe(0);
    expect(() => strategy.decode(Int32Array.of(177))).toThrow(/STRATEGY_VALUE_RANGE.*0\.\.176/);
  });

  it("cover every count once: the bins follow each other and never fall", () => {
    for (let value = 0; value + 1 < strategy.values; value++)
      expect(strategy.low[value + 1]).toBe(strategy.high[value]! + 1);
    expect(encode([2 ** 20, 2 ** 31 - 128])).toEqual([176, 176]);
  });

  it("refuse what is no count, and round fractions where that is allowed", () => {
    expect(() => encode([1.5])).toThrow(/DATA_FRACTIONAL_COUNT.*allowFractional/);
    expect(() => encode([-1])).toThrow("DATA_NEGATIVE_COUNT");
    expect(() => encode([Number.NaN])).toThrow("DATA_NOT_FINITE");
    expect(() => encode([2 ** 31])).toThrow("DATA_TOO_LARGE");
    const rounding = new CountTokens({ allowFractional: true });
    expect(encode([0.49, 0.5, 1.4, 64.5], rounding)).toEqual([0, 1, 1, 64]);
    expect(() => encode([-0.2], rounding)).toThrow("DATA_NEGATIVE_COUNT");
  });

  it("are made again from their JSON", () => {
    for (const allowFractional of [false, true]) {
      const made = strategyFrom(JSON.parse(JSON.stringify(new CountTokens({ allowFractional }))));
      expect(made).toBeInstanceOf(CountTokens);
      expect((made as CountTokens).allowFractional).toBe(allowFractional);
    }
    expect(() => strategyFrom({ kind: "counts", allowFractional: "yes" })).toThrow("ARGUMENT_TYPE");
  });
});

const GENES = 60;
const vocabulary = GeneVocabulary.fromIds(Array.from({ length: GENES }, (_, i) => `G${(i * 7) % GENES}`));
/** Every tenth gene of the source is not in the vocabulary. */
const source = {
  name: "cells",
  genes: Array.from({ length: GENES }, (_, i) => ({ id: i % 10 === 9 ? `X${i}` : `G${i}`, aliases: [] })),
};

function blockOf(cells: readonly (readonly (readonly [number, number])[])[]): CellBlock {
  const offsets = [0];
  for (const cell of cells) offsets.push(offsets.at(-1)! + cell.length);
  return {
    rows: Int32Array.from(cells.keys()),
    offsets: Int32Array.from(offsets),
    columns: Int32Array.from(cells.flat(), ([column]) => column),
    counts: Float32Array.from(cells.flat(), ([, count]) => count),
  };
}

const count = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 9 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 24 }) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 31 - 128, 8388607.5, 0.25, 0.5, 2.5, 63.5) },
);
const cell = fc
  .uniqueArray(fc.integer({ min: 0, max: GENES - 1 }), { maxLength: GENES })
  .chain((columns) => fc.tuple(...columns.map((column) => fc.tuple(fc.constant(column), count))));

describe("the cell tokenizer with count tokens", () => {
  it("gives cls and every expressed gene with its exact count, whatever maxLength", () => {
    const tokenizer = new CellTokenizer({ vocabulary, strategy, maxLength: 2 });
    const cells = [
      [
        [0, 3],
        [1, 100],
        [2, 0],
        [5, 1],
      ],
      [[3, 7]],
    ] as const;
    const { batch, report } = tokenizer.tokenize(blockOf(cells), tokenizer.map(source), 0);
    const id = (name: string) => vocabulary.id(name)!;
    const expected = [
      ["G0", 3],
      ["G1", 100],
      ["G5", 1],
    ] as const;
    const sorted = [...expected].sort((a, b) => id(a[0]) - id(b[0]));
    expect([...batch.offsets]).toEqual([0, 4, 6]);
    expect([...batch.genes]).toEqual([1, ...sorted.map(([name]) => id(name)), 1, id("G3")]);
    expect([...batch.counts!]).toEqual([0, ...sorted.map(([, counted]) => counted), 0, 7]);
    expect([...batch.tokens.subarray(0, 4)]).toEqual([
      0,
      ...sorted.map(([, counted]) => 2 + encode([counted])[0]!),
    ]);
    expect([...batch.panels!]).toEqual([0, 0]);
    expect(report.shortenedCells).toBe(0);
  });

  it("makes the same natively, report included, for any cells", () => {
    const property = fc.property(
      fc.array(cell, { maxLength: 5 }),
      fc.boolean(),
      fc.constantFrom(1, 4),
      (cells, cls, minGenes) => {
        const rounding = new CountTokens({ allowFractional: true });
        const tokenizer = new CellTokenizer({ vocabulary, strategy: rounding, cls, minGenes });
        const block = blockOf(cells);
        const mapping = tokenizer.map(source);
        const native = tokenizeNatively(tokenizer, block, mapping, 0);
        const here = tokenizer.tokenizeHere(block, mapping, 0);
        expect(native).toEqual(here);
        expect(tokenizer.measure(block, mapping).lengths.filter((length) => length > 0)).toEqual(
          here.batch.offsets.slice(1).map((end, i) => end - here.batch.offsets[i]!),
        );
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it("names cell and gene of a count that it refuses", () => {
    const tokenizer = new CellTokenizer({ vocabulary, strategy });
    const mapping = tokenizer.map(source);
    const tokenize = (counted: number) => () =>
      tokenizer.tokenize(blockOf([[[0, 1]], [[4, counted]]]), mapping, 0);
    expect(tokenize(1.5)).toThrow(/DATA_FRACTIONAL_COUNT.*row 1, gene "G4": 1\.500.*allowFractional/);
    expect(tokenize(2 ** 31)).toThrow(/DATA_TOO_LARGE.*row 1, gene "G4"/);
    expect(tokenize(-1)).toThrow(/DATA_NEGATIVE_COUNT.*row 1, gene "G4"/);
    expect(tokenize(1)().batch.cells.length).toBe(2);
  });

  it("refuses to fill cells up with unexpressed genes", () => {
    expect(() => new CellTokenizer({ vocabulary, strategy, includeUnexpressed: true })).toThrow(
      /ARGUMENT_CHOICE.*includeUnexpressed/,
    );
  });
});
