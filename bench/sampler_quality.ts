// npm run bench:sampler-quality: time, runs of the network and cross-entropy of the filled-in cells, sampler by sampler, beside
// ancestral sampling in 128 steps and the published program's loop. The cross-entropy is defined in
// filled_cross_entropy.ts; a sampler is as good as ancestral:128 if it is the same, neither above nor below.
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { checkNumber, DdscError } from "../lib/base/errors.js";
import { concatenateBatches, type RaggedBatch, selectCells, streamRows } from "../lib/batching/index.js";
import { openCells } from "../lib/data/open/open_cells.js";
import { maskedRows } from "../lib/evaluation/masking.js";
import { Denoiser } from "../lib/model/denoiser.js";
import { maskToken, sample } from "../lib/sampling/index.js";
import { notingSurprise } from "./drawn_surprise.js";
import { filledCrossEntropy } from "./filled_cross_entropy.js";
import { orFail, orUsage, wholeOption } from "./options.js";
import { publishedLoop } from "./published_loop.js";
import {
  compareQuality,
  type FilledCells,
  type QualityRow,
  qualityInWords,
  qualityTable,
} from "./quality_report.js";
import { record } from "./record.js";
import { samplerFrom } from "./sampler_spec.js";
import { secondsOf } from "./statistics.js";

const REFERENCE_STEPS = 128;
const REFERENCE = `ancestral:${REFERENCE_STEPS}`;
const USAGE =
  "usage: npm run bench:sampler-quality -- --model FOLDER --data FILE [--samplers LIST] [--masked SHARES] [--cells N] " +
  "[--timed-cells N] [--replicates N] [--seed N] [--quick] [--record] [--json]\n" +
  "  --samplers     comma-separated: first-hitting, first-hitting:8, ancestral:16, analytic:16, parallel:16\n" +
  "  --masked       shares of the ranks that are filled in, comma-separated (default 0.5,1; 1: cells from nothing)\n" +
  "  --cells        cells whose quality is measured (default 2048)\n" +
  "  --timed-cells  cells whose time is measured (default 64)\n" +
  "  --replicates   sets of tokens each filled-in cell is scored with (default 4)\n" +
  "  --quick        64 cells, half masked, three samplers\n" +
  "  --record       write the table into docs/performance.md";

const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      data: { type: "string" },
      samplers: { type: "string" },
      masked: { type: "string" },
      cells: { type: "string" },
      "timed-cells": { type: "string", default: "64" },
      replicates: { type: "string", default: "4" },
      seed: { type: "string", default: "0" },
      quick: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  if (values.model === undefined || values.data === undefined) {
    throw new DdscError("ARGUMENT_TYPE", "expected a model and data: give --model and --data");
  }
  const few = "first-hitting:8,parallel:8";
  const many =
    "first-hitting:32,first-hitting:16,first-hitting:8,first-hitting:4,ancestral:16,analytic:16,parallel:16,parallel:4";
  const specs = (values.samplers ?? (values.quick ? few : many)).split(",");
  const masked = (values.masked ?? (values.quick ? "0.5" : "0.5,1")).split(",");
  return {
    model: values.model,
    data: values.data,
    samplers: specs.map((spec) => ({ spec, sampler: samplerFrom(spec) })),
    masked: masked.map((share) => checkNumber("--masked", Number(share), { min: 0.01, max: 1 })),
    cells: wholeOption("--cells", values.cells ?? (values.quick ? "64" : "2048")),
    timedCells: wholeOption("--timed-cells", values["timed-cells"]),
    replicates: wholeOption("--replicates", values.replicates),
    seed: wholeOption("--seed", values.seed, 0),
    record: values.record,
    json: values.json,
  };
});

/** The first cells of the data that have a token. */
async function readBatch(model: Denoiser): Promise<RaggedBatch> {
  using source = await openCells(options.data);
  const rows = Int32Array.from({ length: Math.min(options.cells, source.cellCount) }, (_, row) => row);
  const parts: RaggedBatch[] = [];
  for await (const { batch } of streamRows(source, model.tokenizer, rows, { cells: 256 })) parts.push(batch);
  return concatenateBatches(parts);
}

async function measure(model: Denoiser, whole: RaggedBatch, masked: number): Promise<QualityRow[]> {
  const { seed, replicates } = options;
  const hidden = maskedRows(whole, masked, seed);
  const tokens = whole.tokens.slice();
  for (const rows of hidden) for (const row of rows) tokens[row] = maskToken(model);
  const evidence = { ...whole, tokens };
  const timed = selectCells(evidence, [...hidden.keys()].slice(0, options.timedCells));
  await publishedLoop(model, timed, 1, seed);
  const published = await secondsOf(() => publishedLoop(model, timed, REFERENCE_STEPS, seed));

  let reference: FilledCells | undefined;
  const rows: QualityRow[] = [];
  for (const { spec, sampler } of [
    { spec: REFERENCE, sampler: samplerFrom(REFERENCE) },
    ...options.samplers,
  ]) {
    const seconds = await secondsOf(() => sample(model, timed, { sampler, seed }));
    const noting = notingSurprise(model);
    const { batch, networkEvaluations } = await sample(noting, evidence, { sampler, seed });
    const filled: FilledCells = {
      crossEntropy: await filledCrossEntropy(model, batch, hidden, replicates),
      surprise: Float64Array.from(batch.cells, (cell) => noting.surprise.get(cell) ?? 0),
      tokens: Float64Array.from(hidden, (own) => own.length),
    };
    reference ??= filled;
    const row = {
      masked,
      sampler: spec,
      evaluations: networkEvaluations.reduce((sum, count) => sum + count, 0) / batch.cells.length,
      seconds,
      faster: published / seconds,
      ...compareQuality(filled, reference),
    };
    rows.push(row);
    console.log(options.json ? JSON.stringify(row) : qualityInWords(row));
  }
  return rows;
}

await orFail(async () => {
  using model = await Denoiser.load(options.model);
  const whole = await readBatch(model);
  const rows: QualityRow[] = [];
  for (const masked of options.masked) rows.push(...(await measure(model, whole, masked)));
  if (!options.record) return;
  const cpu = cpus()[0]?.model ?? "an unknown processor";
  const about =
    `Measured on ${new Date().toISOString().slice(0, 10)} on ${cpu}, ${model.device}: quality of ${whole.cells.length} cells, ` +
    `time of ${Math.min(options.timedCells, whole.cells.length)}, with`;
  const command = ["npm run bench:sampler-quality --", ...process.argv.slice(2)].join(" ");
  await record("sampler-quality", [about, "", "```sh", command, "```", "", qualityTable(rows)].join("\n"));
});
