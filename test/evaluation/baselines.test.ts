import { describe, expect, it } from "vitest";
import { RankBaselines } from "../../lib/evaluation/index.js";

/** One cell of these genes and ranks, a cls token first. */
const cell = (genes: number[], ranks: number[]) => ({
  offsets: Int32Array.of(0, genes.length + 1),
  genes: Int32Array.of(1, ...genes),
  tokens: Int32Array.of(0, ...ranks.map((rank) => rank + 2)),
  cells: Float64Array.of(0),
});

const training = [cell([3, 4], [0, 2]), cell([3, 4], [0, 1]), cell([4], [1])];

describe("baselines of the training cells", () => {
  it("know the most frequent rank, of all tokens and of each gene", async () => {
    const baselines = await RankBaselines.fit(training, 3);
    // Ranks 0 and 1 are equally frequent: the lowest is taken.
    expect(baselines.predict("globalMode", 4)).toEqual({ rank: 0 });
    expect(baselines.predict("geneMode", 3)).toEqual({ rank: 0 });
    expect(baselines.predict("geneMode", 4)).toEqual({ rank: 1 });
  });

  it("smooth each gene's distribution by 20 tokens of the overall one", async () => {
    const baselines = await RankBaselines.fit(training, 3);
    const overall = [3 / 8, 3 / 8, 2 / 8];
    const { rank, probabilities } = baselines.predict("geneMarginal", 4);
    expect(rank).toBe(1);
    for (const [i, count] of [0, 2, 1].entries()) {
      expect(probabilities![i]).toBeCloseTo((count + 20 * overall[i]!) / 23, 12);
    }
    expect(probabilities!.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
  });

  it("fall back to all tokens for a gene never seen", async () => {
    const baselines = await RankBaselines.fit(training, 3);
    expect(baselines.predict("geneMode", 77)).toEqual({ rank: 0 });
    expect([...baselines.predict("geneMarginal", 77).probabilities!]).toEqual([3 / 8, 3 / 8, 2 / 8]);
  });

  it("count cells added later", async () => {
    const baselines = await RankBaselines.fit(training, 3);
    expect(baselines.predict("geneMode", 3).rank).toBe(0);
    for (let i = 0; i < 3; i++) baselines.add(cell([3], [2]));
    expect(baselines.predict("geneMode", 3).rank).toBe(2);
  });

  it("refuse training cells without ranks and tokens that are no ranks", async () => {
    await expect(RankBaselines.fit([], 3)).rejects.toThrow("EVALUATION_EMPTY");
    await expect(RankBaselines.fit([cell([3], [3])], 3)).rejects.toThrow(
      "BATCH_INVALID: token 5 at 1 is no rank of 0..2",
    );
  });
});
