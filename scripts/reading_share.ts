/**
 * What one of so many ranks reads of data in an epoch of training: `npx tsx scripts/reading_share.ts cells.h5ad ...` prints a row of the
 * table in docs/cluster.md for each file and number of ranks. Linux: bytes are those that /proc counts.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BatchLoader } from "../lib/batching/index.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { CellTokenizer, CountTokens, GeneVocabulary } from "../lib/tokenizer/index.js";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    worlds: { type: "string", default: "1,2,8,64" },
    batch: { type: "string", default: "256" },
    lanes: { type: "string", default: "1" },
  },
});

/** Bytes that this process has read from files. */
const bytesRead = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);

console.log("| data | ranks | rows read by rank 0 | MB read | tokenized | processor time |");
console.log("|---|---|---|---|---|---|");
for (const file of positionals) {
  for (const world of values.worlds.split(",").map(Number)) {
    using source = await openCells(file);
    const tokenizer = new CellTokenizer({
      vocabulary: GeneVocabulary.from(source),
      strategy: new CountTokens(),
    });
    let rows = 0;
    const read = source.read.bind(source);
    source.read = (asked, signal) => {
      rows += asked.length;
      return read(asked, signal);
    };
    const [bytes, time] = [bytesRead(), process.cpuUsage()];
    let cells = 0;
    const limit = { kind: "cells", cells: Number(values.batch) } as const;
    const lanes = Number(values.lanes);
    const options = { limit, lanes, seed: 3, epochs: 1, worker: false, share: { rank: 0, world } };
    for await (const { batch } of new BatchLoader(source, tokenizer, options)) cells += batch.cells.length;
    const { user, system } = process.cpuUsage(time);
    const figures = [
      world,
      rows.toLocaleString("en"),
      ((bytesRead() - bytes) / 1e6).toFixed(1),
      cells.toLocaleString("en"),
      `${((user + system) / 1e6).toFixed(2)} s`,
    ];
    console.log(`| ${[file, ...figures].join(" | ")} |`);
  }
}
