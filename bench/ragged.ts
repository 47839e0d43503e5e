// npm run bench:ragged: a training step on cells of real lengths, end to end, beside the same cells padded to the longest.
// Lengths: of neurons10k (neurons10k_lengths.json), or of the cells of --data.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { checkChoice } from "../lib/base/errors.js";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { cellLengths, streamRows } from "../lib/batching/index.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { presetNames } from "../lib/model/config.js";
import { CellTokenizer, GeneVocabulary } from "../lib/tokenizer/index.js";
import { evenLengths } from "./inputs.js";
import { orFail, orUsage, wholeOption } from "./options.js";
import { median, quantile, rounded, secondsOf } from "./statistics.js";
import { trainStep } from "./subjects.js";

const USAGE =
  "usage: npm run bench:ragged -- [--data FILE] [--preset nano|tiny|small|medium] [--batch N] [--dtype fp32|bf16] [--repeats N] [--json]";

const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      data: { type: "string" },
      preset: { type: "string", default: "tiny" },
      batch: { type: "string", default: "64" },
      dtype: { type: "string", default: "fp32" },
      repeats: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  return {
    data: values.data,
    preset: checkChoice("--preset", values.preset, presetNames),
    batch: wholeOption("--batch", values.batch),
    dtype: checkChoice("--dtype", values.dtype, ["fp32", "bf16"]),
    repeats: wholeOption("--repeats", values.repeats),
    json: values.json,
  };
});

/** Lengths in ascending order, or quantiles of them. */
async function knownLengths(data: string | undefined): Promise<readonly number[]> {
  if (data === undefined) {
    const text = await readFile(new URL("./neurons10k_lengths.json", import.meta.url), "utf8");
    return (JSON.parse(text) as { quantiles: readonly number[] }).quantiles;
  }
  using source = await openCells(data);
  const tokenizer = new CellTokenizer({ vocabulary: await GeneVocabulary.from(source) });
  const lengths: number[] = [];
  const rows = Int32Array.from({ length: source.cellCount }, (_, row) => row);
  for await (const { batch } of streamRows(source, tokenizer, rows, { cells: 1024 }))
    lengths.push(...cellLengths(batch));
  return lengths.sort((a, b) => a - b);
}

await orFail(async () => {
  const known = await knownLengths(options.data);
  // Evenly spread over the distribution, in random order, as cells of a batch are.
  const ragged = Int32Array.from({ length: options.batch }, (_, i) =>
    Math.max(1, Math.round(quantile(known, (i + 0.5) / options.batch))),
  );
  new RandomStream(0, Purpose.shuffle).shuffle(ragged);
  const padded = evenLengths(ragged.length, Math.max(...ragged));
  const shape = { ...options, length: 0, genes: 20_000, device: "cpu", dropout: 0.1, samplingSteps: 0 };
  using raggedStep = await trainStep(shape, ragged);
  using paddedStep = await trainStep(shape, padded);
  const times: [number, number][] = [];
  for (let i = 0; i <= options.repeats; i++)
    times.push([await secondsOf(() => raggedStep.run()), await secondsOf(() => paddedStep.run())]);
  const counted = times.slice(1);
  const raggedSeconds = median(counted.map(([seconds]) => seconds));
  const paddedSeconds = median(counted.map(([, seconds]) => seconds));
  const ratio = median(counted.map(([ours, theirs]) => theirs / ours));
  const tokens = { ragged: sum(ragged), padded: sum(padded) };
  console.log(
    options.json
      ? JSON.stringify({ tokens, raggedSeconds, paddedSeconds, ratio: rounded(ratio, 3) })
      : `${options.batch} cells of ${Math.min(...ragged)} to ${Math.max(...ragged)} tokens, ${tokens.ragged} in all: ` +
          `${raggedSeconds.toFixed(3)} s; padded to ${tokens.padded}: ${paddedSeconds.toFixed(3)} s, ${ratio.toFixed(2)} times as long`,
  );
});

function sum(values: Int32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
