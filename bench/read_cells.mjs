// The process that `npm run bench:data -- --formats` times: a built package opens a file and reads all of its cells, part
// by part with the next two reads under way, as conversion does, again and again. Prints the seconds of each time as
// a line of JSON.
import { pathToFileURL } from "node:url";

const [built, file, repeats] = process.argv.slice(2);
const { openCells } = await import(pathToFileURL(built).href);

/** Rows read at a time, as training and conversion read them. */
const ROWS = 1024;
/** Reads under way beyond the one that is waited for. */
const AHEAD = 2;

async function readAll() {
  const started = performance.now();
  const source = await openCells(file);
  const spans = [];
  for (let part = 1; part < source.partBounds.length; part++) {
    const end = source.partBounds[part];
    for (let first = source.partBounds[part - 1]; first < end; first += ROWS) {
      spans.push(Int32Array.from({ length: Math.min(ROWS, end - first) }, (_, i) => first + i));
    }
  }
  let counts = 0;
  const underWay = spans.slice(0, AHEAD).map((rows) => source.read(rows));
  for (let i = 0; i < spans.length; i++) {
    if (i + AHEAD < spans.length) underWay.push(source.read(spans[i + AHEAD]));
    counts += (await underWay[i]).counts.length;
    underWay[i] = undefined;
  }
  const cells = source.cellCount;
  source[Symbol.dispose]();
  return { seconds: (performance.now() - started) / 1000, cells, counts };
}

const runs = [];
for (let i = 0; i < Number(repeats); i++) runs.push(await readAll());
console.log(JSON.stringify(runs));
