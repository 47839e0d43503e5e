// Trains a model on a file of counts and saves checkpoints on the way: npx tsx train.ts cells.h5ad runs/first 1000
import { Denoiser, GeneVocabulary, openCells, Trainer } from "ddsc";

const [data = "cells.h5ad", folder = "runs/first", steps = "1000"] = process.argv.slice(2);

using cells = await openCells(data);
using model = await Denoiser.create({
  // Of ranks: what impute.ts and generate.ts work on.
  values: "ranks",
  preset: "nano",
  vocabulary: GeneVocabulary.from(cells),
});
console.log(
  `${cells.cellCount} cells of ${cells.genes.length} genes; ${model.parameterCount} parameters on ${model.device}`,
);

const trainer = new Trainer(model, { folder, learningRate: 1e-3, batchCells: 32 });
for await (const step of trainer.fit(cells, { steps: Number(steps) })) {
  if (step.validation !== undefined) {
    console.log(
      `step ${step.step}: loss ${step.loss.toFixed(3)}, held out ${step.validation.nll.toFixed(3)}`,
    );
  }
}
console.log(`saved in ${folder}`);
