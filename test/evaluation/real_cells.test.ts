import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Purpose, RandomStream } from "../../lib/base/random.js";
import { tokenizeRows } from "../../lib/batching/index.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import { evaluate, RankBaselines } from "../../lib/evaluation/index.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { realFile } from "../data/support.js";

const NEURONS = realFile("neurons10k.h5ad");

describe.skipIf(!existsSync(NEURONS))(
  "10,000 mouse brain cells, the last 1,000 of them shuffled held out",
  () => {
    it("give the baselines the scores that are known of them", async () => {
      using source = await openCells(NEURONS);
      using model = await Denoiser.create({
        values: "ranks",
        vocabulary: GeneVocabulary.from(source),
        shape: { hidden: 8, blocks: 1, heads: 1, condDim: 2 },
        trainable: false,
      });
      const order = new RandomStream(0, Purpose.split).shuffle(
        Int32Array.from({ length: 10_000 }, (_, row) => row),
      );
      const training = (await tokenizeRows(source, model.tokenizer, order.subarray(0, 9000))).batch;
      const heldOut = (await tokenizeRows(source, model.tokenizer, order.subarray(9000))).batch;
      const baselines = await RankBaselines.fit([training], model.strategy.values);
      const result = await evaluate(model, [heldOut], { ratios: [0.5], baselines });

      // Known of another shuffle; 0.7 points and 0.01 nats are what shuffles differ by.
      const { globalMode, geneMode, geneMarginal } = result.baselines;
      expect(Math.abs(globalMode!.maskedAccuracy - 0.663)).toBeLessThan(0.007);
      expect(Math.abs(geneMode!.maskedAccuracy - 0.688)).toBeLessThan(0.007);
      expect(Math.abs(geneMarginal!.crossEntropy! - 1.458)).toBeLessThan(0.01);
      expect(geneMarginal!.ratios["0.5"]!.crossEntropy!).toBeCloseTo(geneMarginal!.crossEntropy!, 1);

      // Fresh weights leave every token but the mask as likely: rank 0 is the first of the best.
      const untrained = result.ratios["0.5"]!;
      expect(untrained.crossEntropy!).toBeCloseTo(Math.log(53), 5);
      expect(untrained.maskedAccuracy).toBe(globalMode!.ratios["0.5"]!.maskedAccuracy);
      expect(untrained.rankMae).toBe(globalMode!.ratios["0.5"]!.rankMae);
    });
  },
);
