// The process that `npm run bench:data -- --first-batch` times: the built package from nothing to the first batch of a file,
// and on to the hundredth. Prints a line of JSON.
const [file, cells, length] = process.argv.slice(2);
const { BatchLoader, CellTokenizer, GeneVocabulary, openCells } = await import("../dist/index.js");
const started = performance.now();
const source = await openCells(file);
const vocabulary = await GeneVocabulary.from(source);
const opened = performance.now();
const tokenizer = new CellTokenizer({ vocabulary, maxLength: Number(length) });
const loader = new BatchLoader(source, tokenizer, {
  limit: { kind: "cells", cells: Number(cells) },
  seed: 1,
});
const peak = () => process.resourceUsage().maxRSS / 1024;
await loader.next();
// From the start of the process.
const first = performance.now();
const firstBatchMiB = peak();
for (let batch = 1; batch < 100; batch++) await loader.next();
await loader.close();
source[Symbol.dispose]();
console.log(
  JSON.stringify({
    startSeconds: started / 1000,
    openSeconds: (opened - started) / 1000,
    firstBatchSeconds: first / 1000,
    firstBatchMiB,
    laterMiB: peak(),
  }),
);
