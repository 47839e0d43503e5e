// Draws new cells that express given genes and writes them to a file that AnnData reads:
//   npx tsx generate.ts runs/first new.h5ad 100 GENE000,GENE001,GENE002
import { Denoiser, generate, writeH5ad } from "ddsc";

const [run = "runs/first", out = "new.h5ad", count = "100", names = "GENE000,GENE001,GENE002"] =
  process.argv.slice(2);

using model = await Denoiser.load(run);
const { cells, genes, ranks } = await generate(model, {
  genes: names.split(","),
  cells: Number(count),
  sampler: { kind: "first-hitting" },
  seed: 1,
});

const table = (index: string[]) => ({ index, indexName: "_index", columns: new Map() });
await writeH5ad(out, {
  obs: table(Array.from({ length: cells }, (_, cell) => `generated-${cell}`)),
  var: table(Array.from(genes, (gene) => model.vocabulary.token(gene) ?? "")),
  X: { kind: "dense", values: ranks },
});
console.log(`${out}: ${cells} cells x ${genes.length} genes`);
