/**
 * Cells as another study might have them: some genes of a file at random, and a share of its molecules. What was chosen on a file is
 * tried on such cells: `npx tsx bench/other_cells.ts --data cells.h5ad --genes 400 --keep 0.3 --out other.h5ad`, then `ddsc train` and
 * `ddsc evaluate` on them.
 */
import { parseArgs } from "node:util";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { writeAnnData } from "../lib/data/anndata/write.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { readBlocks } from "../lib/data/sources/blocks.js";
import { framesOf } from "../lib/data/sources/frames.js";
import { chooseWithoutReplacement } from "../lib/tokenizer/choose.js";

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    genes: { type: "string" },
    keep: { type: "string", default: "1" },
    seed: { type: "string", default: "0" },
    out: { type: "string" },
  },
});
const { data, out } = values;
if (data === undefined || out === undefined) throw new Error("needs --data FILE and --out NAME.h5ad");
const seed = Number(values.seed);
const keep = Number(values.keep);

using source = await openCells(data);
const genes = Number(values.genes ?? source.genes.length);
const chosen = chooseWithoutReplacement(
  source.genes.length,
  genes,
  new RandomStream(seed, Purpose.geneSample),
);
const columnOf = new Map(Array.from(chosen, (from, column) => [from, column]));
const { obs, var: table } = await framesOf(source);

async function* rows() {
  for await (const { rows: cells, offsets, columns, counts } of readBlocks(source)) {
    const kept = { offsets: [0], columns: [] as number[], values: [] as number[] };
    for (const [i, cell] of cells.entries()) {
      const random = new RandomStream(seed, Purpose.thin, 0, cell);
      for (let entry = offsets[i] ?? 0; entry < (offsets[i + 1] ?? 0); entry++) {
        const column = columnOf.get(columns[entry] ?? -1);
        let count = 0;
        for (let molecule = 0; molecule < (counts[entry] ?? 0); molecule++)
          if (random.uniform() < keep) count++;
        if (column === undefined || count === 0) continue;
        kept.columns.push(column);
        kept.values.push(count);
      }
      kept.offsets.push(kept.columns.length);
    }
    yield {
      X: {
        offsets: Int32Array.from(kept.offsets),
        columns: Int32Array.from(kept.columns),
        values: Int32Array.from(kept.values),
      },
    };
  }
}

await writeAnnData(out, {
  obs,
  var: {
    index: Array.from(chosen, (gene) => table.index[gene] ?? ""),
    indexName: table.indexName,
    columns: new Map(),
  },
  matrices: { X: { kind: "csr", type: "int32" } },
  rows: rows(),
});
