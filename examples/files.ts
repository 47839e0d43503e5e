// From file to file, a call for each task: npx tsx files.ts cells.h5ad runs/counts 1000
import { embedFile, evaluateFile, generateFile, imputeFile, trainFile } from "ddsc";

const [data = "cells.h5ad", out = "runs/counts", steps = "1000"] = process.argv.slice(2);

const { best } = await trainFile({
  data,
  out,
  steps: Number(steps),
  onStep: ({ step, loss }) => console.log(`step ${step}: ${loss.toFixed(3)} nats a gene`),
});
console.log(`best held out: ${best?.nll.toFixed(3)} nats a gene at step ${best?.step}`);

const scores = await evaluateFile({ model: out });
if (scores.kind === "counts") console.log(scores.verdict.sentence);

const file = (name: string) => data.replace(/\.\w+$/, `-${name}.h5ad`);
await imputeFile({ model: out, data, out: file("imputed") });
await embedFile({ model: out, data, out: file("embedded") });
const { cells, meanTotal } = await generateFile({ model: out, like: data, out: file("generated") });
console.log(`${cells} cells generated, ${meanTotal.toFixed(0)} counts each on average`);
