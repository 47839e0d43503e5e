import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOf, type Network, operationsOf, type Step } from "../../scripts/cluster/cost_model.js";

const step: Step = { seconds: 0.1, parameters: 25e6, inBlocks: 0.8, blocks: 10 };
const network: Network = { bytesPerSecond: 1e9, latency: 0, rounds: "direct", bucket: 4 * 2 ** 20 };

describe("the cost of several processes", () => {
  it("is nothing for one", () => {
    expect(costOf(step, network, 1)).toEqual({
      bytes: 0,
      sumSeconds: 0,
      waiting: 0,
      stepSeconds: 0.1,
      efficiency: 1,
    });
  });

  it("is worked out by hand for two", () => {
    // 100 MB: 100 MB go out, in 100 ms. 80 are of blocks; 60 ms of backward remain once the first of ten is there.
    const { bytes, sumSeconds, waiting, efficiency } = costOf(step, network, 2);
    expect(bytes).toBe(100e6);
    expect(sumSeconds).toBeCloseTo(0.1, 12);
    expect(waiting).toBeCloseTo(0.08 - 0.06 + 0.02, 12);
    expect(efficiency).toBeCloseTo(0.1 / 0.14, 12);
  });

  it("rounds make many processes dear over direct messages, less so over trees", () => {
    const slow = { ...network, latency: 1e-4 };
    // 24 buckets, there and back.
    expect(costOf(step, slow, 64).sumSeconds).toBeCloseTo((2 * 63 * 0.1) / 64 + 2 * 24 * 63 * 1e-4, 9);
    expect(costOf(step, { ...slow, rounds: "tree" }, 64).sumSeconds).toBeCloseTo(
      (2 * 63 * 0.1) / 64 + 2 * 24 * 6 * 1e-4,
      9,
    );
  });

  it("never falls with more processes or a slower network, nor rises with overlap", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.double({ min: 1e-3, max: 10, noNaN: true }),
        fc.integer({ min: 1000, max: 1e9 }),
        share,
        fc.integer({ min: 1, max: 48 }),
        fc.integer({ min: 2, max: 1000 }),
        fc.double({ min: 1e6, max: 1e12, noNaN: true }),
        (seconds, parameters, inBlocks, blocks, processes, bytesPerSecond) => {
          const one: Step = { seconds, parameters, inBlocks, blocks };
          const given: Network = { bytesPerSecond, latency: 1e-5, rounds: "tree", bucket: 16 * 2 ** 20 };
          const cost = costOf(one, given, processes);
          expect(cost.waiting).toBeLessThanOrEqual(cost.sumSeconds * (1 + 1e-9));
          expect(costOf(one, given, processes + 1).bytes).toBeGreaterThan(cost.bytes);
          expect(
            costOf(one, { ...given, bytesPerSecond: bytesPerSecond / 2 }, processes).stepSeconds,
          ).toBeGreaterThan(cost.stepSeconds);
          expect(costOf({ ...one, inBlocks: 0 }, given, processes).waiting).toBeGreaterThanOrEqual(
            cost.waiting * (1 - 1e-9),
          );
        },
      ),
    );
  });
});

it("operations of a step are those of its products", () => {
  // One block of 4, one token: 12 x 16 weights, twice each, and scores and sums over one key; three times.
  expect(operationsOf({ hidden: 4, blocks: 1, genes: 10, length: 1 }, 1)).toBe(3 * (2 * 192 + 16));
});
