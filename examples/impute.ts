// Fills in genes that were not captured in a cell from those that were:
//   npx tsx impute.ts runs/first cells.h5ad 0 Sox2,Pax6
// Without a list, genes without a count, at most as many as the cell has tokens.
import { Denoiser, inpaint, maskGenes, openCells, tokenizeRows } from "ddsc";

const [run = "runs/first", data = "cells.h5ad", row = "0", list] = process.argv.slice(2);
const rows = Int32Array.of(Number(row));

using model = await Denoiser.load(run);
using cells = await openCells(data);
const { vocabulary } = model;
const { batch } = await tokenizeRows(cells, model.tokenizer, rows);

const expressed = new Set(batch.genes);
const names = list?.split(",") ?? cells.genes.map((gene) => gene.id);
const missing = names.filter((name) => !expressed.has(vocabulary.find(name) ?? -1)).slice(0, expressed.size);

// One step at temperature 0: each gene's most probable rank.
const { filled } = await inpaint(model, maskGenes(model, batch, missing), {
  sampler: { kind: "parallel", steps: 1 },
  temperature: 0,
});
// A rank stands for the count that has it among the cell's own.
const counts = model.strategy.decode(filled.rank, (await cells.read(rows)).counts);
console.log("gene\trank\tcount\tprobability");
for (const [i, gene] of filled.gene.entries()) {
  const probability = filled.probability[i]?.toFixed(3);
  console.log([vocabulary.token(gene), filled.rank[i], counts[i], probability].join("\t"));
}
