/**
 * What it takes every rank to read the 3,000 training cells of which depths are kept, beside what telling them to one another would take if
 * each read a share: seconds, of three samples each.
 *
 *     mpirun -n 2 node --import tsx scripts/sample_cost.ts FILE...
 */
import { argv } from "node:process";
import { joinCluster } from "../lib/cluster/join.js";
import { SAMPLE_CELLS } from "../lib/counts/depth_sample.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { packArray, unpackArray } from "../lib/data/open/share_out.js";
import { CellTokenizer, CountTokens, GeneVocabulary } from "../lib/tokenizer/index.js";
import { tokensOfSome } from "../lib/training/validation_cells.js";

const cluster = await joinCluster();

/** Seconds of some work that all ranks begin together. */
async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly seconds: number }> {
  await cluster.barrier();
  const start = performance.now();
  const result = await work();
  return { result, seconds: (performance.now() - start) / 1000 };
}

for (const path of argv.slice(2)) {
  using source = await openCells(path, {}, cluster);
  const strategy = new CountTokens();
  const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source), strategy });
  for (let seed = 0; seed < 3; seed++) {
    const options = { selection: {}, cells: SAMPLE_CELLS, seed };
    const read = await timed(() => tokensOfSome(source, tokenizer, options));
    const { tokens, genes, counts = tokens } = read.result;
    const own = tokens.length / cluster.world;
    const told = await timed(async () => {
      const all = await cluster.gather(
        [tokens, genes, counts].map((each) => packArray(each.subarray(0, own))),
      );
      return all.map((arrays) => arrays.map((text) => new Int32Array(unpackArray(text))));
    });
    if (cluster.rank > 0) continue;
    console.log(
      `${path}: ${tokens.length} counts, read in ${read.seconds.toFixed(2)} s, exchanged in ${told.seconds.toFixed(2)} s`,
    );
  }
}
await cluster.leave();
