import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Purpose, RandomStream } from "../../lib/base/random.js";
import { chooseWithoutReplacement } from "../../lib/tokenizer/choose.js";

describe("choosing without replacement", () => {
  it("gives as many different places as asked for, ascending", () => {
    const sizes = fc
      .integer({ min: 0, max: 200 })
      .chain((total) => fc.tuple(fc.constant(total), fc.nat(total)));
    fc.assert(
      fc.property(sizes, fc.nat(), ([total, count], seed) => {
        const chosen = chooseWithoutReplacement(total, count, new RandomStream(seed, Purpose.geneSample));
        expect(chosen.length).toBe(count);
        for (let i = 0; i < count; i++) {
          expect(chosen[i]!).toBeGreaterThan(i === 0 ? -1 : chosen[i - 1]!);
          expect(chosen[i]!).toBeLessThan(total);
        }
      }),
    );
  });

  it.each([2, 4])("makes every set of %i out of 6 equally likely", (count) => {
    const draws = 30_000;
    const seen = new Map<string, number>();
    for (let step = 0; step < draws; step++) {
      const set = chooseWithoutReplacement(6, count, new RandomStream(7, Purpose.geneSample, step)).join();
      seen.set(set, (seen.get(set) ?? 0) + 1);
    }
    expect(seen.size).toBe(15);
    const expected = draws / 15;
    const chiSquare = [...seen.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(36.1); // 14 degrees of freedom, p = 0.001
  });
});
