import { Purpose, RandomStream } from "../lib/base/random.js";
import type { RaggedBatch } from "../lib/batching/index.js";
import { noiseSchedule } from "../lib/diffusion/index.js";
import { type DenoisingModel, maskToken } from "../lib/sampling/index.js";
import { type CellRows, predictCells } from "../lib/sampling/network.js";

/** Names the masks that cells are scored with: the same ones whatever filled the cells in. */
const SEED = 2 ** 40;

/**
 * Cross-entropy of filled-in tokens under a model, nats a cell: with M tokens of a cell filled in, the mean over
 * n = 1..M and over sets S of n of them of M/n sum over i in S of -log p(x_i | the cell without S). That is the model's
 * bound on -log p(filled-in tokens | evidence); for tokens drawn one after the other from the model it is their entropy.
 * Estimated with `replicates` sets a cell, whose sizes are spread evenly over 1..M.
 *
 * @param filled rows of each cell that were filled in, [cells]
 */
export async function filledCrossEntropy(
  model: DenoisingModel,
  batch: RaggedBatch,
  filled: readonly Int32Array[],
  replicates: number,
): Promise<Float64Array> {
  const total = new Float64Array(batch.cells.length);
  const most = noiseSchedule(model.diffusion.schedule).moveChance(1);
  for (let replicate = 0; replicate < replicates; replicate++) {
    const tokens = batch.tokens.slice();
    const asked: CellRows[] = [];
    for (const [place, all] of filled.entries()) {
      if (all.length === 0) continue;
      const stream = new RandomStream(SEED, Purpose.mask, replicate, batch.cells[place] as number);
      const size = 1 + Math.floor(((replicate + stream.uniform()) / replicates) * all.length);
      const rows = stream.shuffle(all.slice()).slice(0, size).sort();
      for (const row of rows) tokens[row] = maskToken(model);
      asked.push({ place, rows, moveChance: (size / all.length) * most });
    }
    const network = { weights: model.inferenceWeights, maxTokens: 8192, signal: undefined };
    await predictCells(model, { ...batch, tokens }, asked, network, async (prediction, cells) => {
      const targets = Int32Array.from(
        cells.flatMap(({ rows }) => Array.from(rows, (row) => batch.tokens[row] as number)),
      );
      const { targetLogProbability } = await prediction.statistics(targets);
      let i = 0;
      for (const { place, rows } of cells) {
        let sum = 0;
        for (const _ of rows) sum -= targetLogProbability[i++] as number;
        const whole = (filled[place] as Int32Array).length;
        total[place] = (total[place] as number) + (sum * whole) / (rows.length * replicates);
      }
    });
  }
  return total;
}
