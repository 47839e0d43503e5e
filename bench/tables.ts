/**
 * How fast tables of text are read, beside papaparse alone on the same text: npx tsx bench/tables.ts
 *
 * Three tables of cells by 20,000 genes: counts of which most are 0, counts of which none is, and values of six digits. Times are
 * seconds of processor time, the best of three runs in turns.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Papa from "papaparse";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { rowRange } from "../lib/data/sources/parts.js";

const GENES = 20_000;
const TABLES: Readonly<Record<string, { cells: number; field: (random: RandomStream) => string }>> = {
  "counts, 7% not 0": {
    cells: 1000,
    field: (random) => (random.below(100) < 7 ? String(1 + random.below(20)) : "0"),
  },
  "counts, all not 0": { cells: 1000, field: (random) => String(1 + random.below(50)) },
  "values of six digits": {
    cells: 500,
    field: (random) => (random.below(100) < 7 ? (random.below(5e6) / 1e6).toFixed(6) : "0.0"),
  },
};

async function seconds(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

async function readCells(path: string): Promise<void> {
  using source = await openCells(path);
  await source.read(rowRange(0, source.cellCount));
}

async function parseAlone(path: string): Promise<void> {
  let sum = 0;
  const step = ({ data }: Papa.ParseStepResult<string[]>): void => {
    for (const field of data) if (field !== "0") sum += Number(field);
  };
  Papa.parse<string[]>(readFileSync(path, "utf8"), { delimiter: ",", newline: "\n", step });
  if (sum === 0) throw new Error("nothing was read");
}

const folder = mkdtempSync(join(tmpdir(), "ddsc-bench-"));
try {
  for (const [name, { cells, field }] of Object.entries(TABLES)) {
    const random = new RandomStream(1, Purpose.draw);
    const path = join(folder, "table.csv");
    const lines = [`cell,${Array.from({ length: GENES }, (_, gene) => `GENE${gene}`).join(",")}`];
    for (let cell = 0; cell < cells; cell++)
      lines.push(`c${cell},${Array.from({ length: GENES }, () => field(random)).join(",")}`);
    const text = `${lines.join("\n")}\n`;
    writeFileSync(path, text);
    let [ours, alone] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let run = 0; run < 3; run++) {
      ours = Math.min(ours, await seconds(() => readCells(path)));
      alone = Math.min(alone, await seconds(() => parseAlone(path)));
    }
    const rates = `${(text.length / 1e6 / ours).toFixed(0)} MB/s, papaparse alone ${(text.length / 1e6 / alone).toFixed(0)}`;
    console.log(
      `${name}: ${(text.length / 1e6).toFixed(0)} MB, ${rates}; ratio ${(alone / ours).toFixed(2)}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
