import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { QuantileRanks, strategyFrom } from "../../lib/tokenizer/index.js";

interface RankCase {
  name: string;
  values: number[];
  ranks: number[];
}
const fixture = JSON.parse(readFileSync(new URL("../fixtures/ranks.json", import.meta.url), "utf8")) as {
  bins: number;
  cases: RankCase[];
};

function encode(counts: ArrayLike<number>, strategy = new QuantileRanks()): number[] {
  const out = new Int32Array(counts.length);
  strategy.encode(Float32Array.from(counts), out);
  return [...out];
}

function decode(values: number[], reference: number[], strategy = new QuantileRanks()): number[] {
  return [...strategy.decode(Int32Array.from(values), Float32Array.from(reference))];
}

const positive = fc.oneof(
  fc.integer({ min: 1, max: 30 }),
  fc.float({ min: Math.fround(1e-6), max: Math.fround(1e6), noNaN: true, noDefaultInfinity: true }),
);
const cell = fc.array(positive, { minLength: 1, maxLength: 400 });

describe("quantile ranks", () => {
  it("equal the reference's on every case of its fixture", () => {
    expect(fixture.cases.length).toBeGreaterThan(20);
    const strategy = new QuantileRanks({ bins: fixture.bins });
    for (const { name, values, ranks } of fixture.cases)
      expect(encode(values, strategy), name).toEqual(ranks);
  });

  it("of 1..5 in four bins are 0, 0, 1, 2, 3: a count on an edge belongs below it", () => {
    expect(encode([1, 2, 3, 4, 5], new QuantileRanks({ bins: 4 }))).toEqual([0, 0, 1, 2, 3]);
  });

  it("are within 0..R-1, never decrease with the count and start at 0", () => {
    fc.assert(
      fc.property(cell, fc.integer({ min: 2, max: 80 }), (counts, bins) => {
        const ranks = encode(counts, new QuantileRanks({ bins }));
        const byCount = counts
          .map((count, i) => [Math.fround(count), ranks[i]!] as const)
          .sort((a, b) => a[0] - b[0]);
        expect(byCount[0]![1]).toBe(0);
        for (let i = 1; i < byCount.length; i++) {
          const [count, rank] = byCount[i]!;
          const [before, rankBefore] = byCount[i - 1]!;
          if (count === before) expect(rank).toBe(rankBefore);
          else expect(rank).toBeGreaterThanOrEqual(rankBefore);
          expect(rank).toBeLessThan(bins);
        }
      }),
    );
  });

  it("do not change when all counts are scaled by a power of two, which float32 does exactly", () => {
    fc.assert(
      fc.property(cell, fc.integer({ min: -10, max: 10 }), (counts, power) => {
        expect(encode(counts.map((count) => Math.fround(count) * 2 ** power))).toEqual(encode(counts));
      }),
    );
  });

  it("do not depend on the order of the genes nor on what was encoded before", () => {
    const strategy = new QuantileRanks();
    fc.assert(
      fc.property(cell, (counts) => {
        const reversed = encode([...counts].reverse(), strategy);
        expect(encode(counts, strategy)).toEqual(reversed.reverse());
      }),
    );
  });

  it("of zeros are 0, and zeros do not move the ranks of expressed genes", () => {
    const [low, middle, high] = encode([3, 5, 9]);
    expect(encode([0, 3, 0, 5, 9, 0])).toEqual([0, low, 0, middle, high, 0]);
    expect(encode([0, 0])).toEqual([0, 0]);
    expect(encode([])).toEqual([]);
  });

  it("refuse an output of another length", () => {
    expect(() => new QuantileRanks().encode(new Float32Array(3), new Int32Array(2))).toThrow(
      "ARGUMENT_RANGE",
    );
  });

  it("refuse fewer than two bins", () => {
    expect(() => new QuantileRanks({ bins: 1 })).toThrow("bins");
  });
});

describe("decoding quantile ranks", () => {
  it("gives back every count of a cell in which each rank has one count", () => {
    const counts = [1, 1, 1, 1, 1, 2, 2, 3, 8];
    expect(decode(encode(counts), counts)).toEqual(counts);
  });

  it("gives the lower median of the counts that share a rank", () => {
    // Two bins: the edge is the median, 3; counts <= 3 have rank 0.
    const strategy = new QuantileRanks({ bins: 2 });
    expect(decode([0, 1], [5, 1, 3, 2, 4], strategy)).toEqual([2, 4]);
  });

  it("gives the middle of the edges for a rank that no count has", () => {
    // Four bins of [0.25, 8.25]: edges 2.25, 4.25, 6.25, of which the inner ranks hold no count.
    expect(decode([0, 1, 2, 3], [0.25, 8.25], new QuantileRanks({ bins: 4 }))).toEqual([
      0.25, 3.25, 5.25, 8.25,
    ]);
  });

  it("never decreases with the rank, and a decoded rank that occurs is that rank again", () => {
    fc.assert(
      fc.property(cell, (counts) => {
        const strategy = new QuantileRanks();
        const all = Array.from({ length: strategy.values }, (_, rank) => rank);
        const decoded = decode(all, counts, strategy);
        for (let rank = 1; rank < all.length; rank++) {
          expect(decoded[rank]).toBeGreaterThanOrEqual(decoded[rank - 1]!);
        }
        const rankOf = new Map(encode(counts, strategy).map((rank, i) => [Math.fround(counts[i]!), rank]));
        for (const rank of new Set(rankOf.values())) expect(rankOf.get(decoded[rank]!)).toBe(rank);
      }),
    );
  });

  it("refuses a value that is no rank, and a reference without expressed counts", () => {
    expect(() => decode([51], [1, 2])).toThrow("STRATEGY_VALUE_RANGE");
    expect(() => decode([-1], [1, 2])).toThrow("STRATEGY_VALUE_RANGE");
    expect(() => decode([0], [0])).toThrow("STRATEGY_NO_REFERENCE");
  });
});

describe("strategyFrom", () => {
  it("makes the strategy that toJSON described", () => {
    const made = strategyFrom(JSON.parse(JSON.stringify(new QuantileRanks({ bins: 7 }))));
    expect(made).toBeInstanceOf(QuantileRanks);
    expect(made.values).toBe(7);
  });

  it("refuses a kind it does not know, and what describes no strategy", () => {
    expect(() => strategyFrom({ kind: "future" })).toThrow(/STRATEGY_UNKNOWN.*future.*quantile-ranks/);
    for (const json of [null, 3, [], {}, { kind: 5 }])
      expect(() => strategyFrom(json)).toThrow("STRATEGY_UNKNOWN");
    expect(() => strategyFrom({ kind: "quantile-ranks", bins: "many" })).toThrow("ARGUMENT_RANGE");
  });
});
