/** Writes cells with a streamed table; prints the most memory that was live, in bytes. For streamed_frame.test.ts. */
import { writeAnnData } from "../../../lib/data/anndata/write.js";

const [path = "", text = ""] = process.argv.slice(2);
const cells = Number(text);
const AT_ONCE = 20_000;
let most = 0;

function* rows() {
  for (let first = 0; first < cells; first += AT_ONCE) {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    most = Math.max(most, heapUsed + external);
    const count = Math.min(AT_ONCE, cells - first);
    yield {
      X: {
        offsets: Int32Array.from({ length: count + 1 }, (_, i) => i),
        columns: new Int32Array(count),
        values: new Int32Array(count).fill(1),
      },
    };
  }
}

await writeAnnData(path, {
  obs: {
    length: cells,
    indexName: "_index",
    columns: new Map(),
    rows: (first, end) => ({
      index: Array.from({ length: end - first }, (_, i) => `generated-${first + i}`),
      columns: new Map(),
    }),
  },
  var: { index: ["Sox2"], indexName: "_index", columns: new Map() },
  matrices: { X: { kind: "csr", type: "int32" } },
  rows: rows(),
});
process.stdout.write(String(most));
