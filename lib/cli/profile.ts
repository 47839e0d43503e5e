import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { FIRST_RANK_TOKEN, type RaggedBatch, tokenizeRows } from "../batching/index.js";
import { Denoiser } from "../model/denoiser.js";
import { chooseWithoutReplacement } from "../tokenizer/choose.js";
import { GeneVocabulary } from "../tokenizer/index.js";
import { type OpProfile, profileStep, type StepProfile } from "../training/profile.js";
import { defineCommand } from "./command.js";
import { DATA_OPTIONS, describeDevice, openData } from "./open.js";
import type { OptionValues } from "./options.js";
import { type Output, withThousands } from "./output.js";

const NAMES = [
  "preset",
  "batch",
  "length",
  "dtype",
  "device",
  "data",
  ...DATA_OPTIONS,
  "geneCount",
  "dropout",
  "forward",
  "repeats",
  "seed",
] as const;

type Options = OptionValues<(typeof NAMES)[number]>;

const DEFAULT_CELLS = 4;

/** `ddsc profile`: where the time of a training step goes, beside what the machine can do. */
export const profile = defineCommand({
  name: "profile",
  summary: "show where the time of a training step goes, op by op, beside the machine's limits",
  details: `Each op with its calls, its time and share of the whole, operations and bytes a second, and how near it is to the limit that
it meets first (multiply-adds or memory, measured in the same run). Cells are made up, all of --length tokens; with --data
they are cells of a file, of their own lengths.

Example: ddsc profile --preset tiny --batch 4 --length 1024 --dtype fp32`,
  options: NAMES,
  required: [],
  defaults: { preset: "tiny" },
  run: async (options, { output, signal }) => {
    const { model, batch } = await subject(options);
    using _model = model;
    const { forward, repeats, preset } = options;
    const profiled = await profileStep(model, batch, {
      work: forward ? "forward" : "train",
      repeats,
      signal,
    });
    describeDevice(model, output);
    output.line(
      `${forward ? "run of the network" : "training step"}  ${preset}, ${profiled.dtype} on ${profiled.device}, ` +
        `${withThousands(profiled.cells)} cells, ${withThousands(profiled.tokens)} tokens, longest ${withThousands(profiled.longest)}`,
    );
    describe(profiled, output);
    return { preset, ...profiled };
  },
});

/** A model and cells for it. */
async function subject(options: Options): Promise<{ readonly model: Denoiser; readonly batch: RaggedBatch }> {
  if (options.data === undefined) {
    const ids = Array.from({ length: options.geneCount }, (_, gene) => `GENE${gene + 1}`);
    const model = await createModel(options, GeneVocabulary.fromIds(ids));
    return { model, batch: inventedCells(options, model) };
  }
  using source = await openData(options.data, options);
  const model = await createModel(options, GeneVocabulary.from(source));
  try {
    const random = new RandomStream(options.seed, Purpose.shuffle);
    const wanted = Math.min(options.batch ?? DEFAULT_CELLS, source.cellCount);
    const rows = chooseWithoutReplacement(source.cellCount, wanted, random);
    const { batch } = await tokenizeRows(source, model.tokenizer, rows);
    if (batch.cells.length === 0)
      throw new DdscError("DATA_NO_CELLS", `${source.name}: none of the cells drawn expresses a gene`);
    return { model, batch };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

function createModel(options: Options, vocabulary: GeneVocabulary): Promise<Denoiser> {
  const { preset, dropout, length, seed, forward, device, dtype } = options;
  return Denoiser.create({
    vocabulary,
    preset,
    shape: { dropout },
    diffusion: { meanMatching: 1 },
    tokenizer: { maxLength: length, seed },
    seed,
    trainable: !forward,
    profile: true,
    ...(device === undefined ? {} : { device }),
    ...(dtype === undefined ? {} : { dtype }),
  });
}

/** Cells of random genes and ranks, all of the same length. */
function inventedCells({ batch, length, seed }: Options, model: Denoiser): RaggedBatch {
  const cells = batch ?? DEFAULT_CELLS;
  const { geneVocabSize } = model.config;
  const specials = model.vocabulary.size - model.vocabulary.geneCount;
  const random = new RandomStream(seed, Purpose.simulate);
  const drawn = (first: number, count: number) =>
    Int32Array.from({ length: cells * length }, () => first + random.below(count));
  return {
    offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => cell * length),
    genes: drawn(specials, geneVocabSize - specials),
    tokens: drawn(FIRST_RANK_TOKEN, model.strategy.values),
    cells: Float64Array.from({ length: cells }, (_, cell) => cell),
  };
}

function describe(profiled: StepProfile, output: Output): void {
  const { ops, seconds, outside, limits, dtype } = profiled;
  const peak = dtype === "bf16" ? limits.bf16FlopsPerSecond : limits.fp32FlopsPerSecond;
  output.line(
    `limits  ${(peak / 1e9).toFixed(0)} GFLOP/s in ${dtype}, ${(limits.bytesPerSecond / 1e9).toFixed(1)} GB/s, measured in the same run`,
  );
  output.line();
  const flops = ops.reduce((sum, op) => sum + op.flops, 0);
  output.table([
    ["op", "calls", "ms", "share", "GFLOP/s", "GB/s", "of limit"],
    ...ops.map(rowOf),
    ["outside the ops", "", milliseconds(outside), percent(outside / seconds), "", "", ""],
    ["whole", "", milliseconds(seconds), percent(1), (flops / seconds / 1e9).toFixed(1), "", ""],
  ]);
}

function rowOf(op: OpProfile): string[] {
  const rate = (amount: number) => (op.seconds > 0 ? (amount / op.seconds / 1e9).toFixed(1) : "");
  return [
    [op.op, op.place].filter((word) => word !== "").join(", "),
    withThousands(op.calls),
    milliseconds(op.seconds),
    percent(op.share),
    op.flops > 0 ? rate(op.flops) : "",
    op.bytes > 0 ? rate(op.bytes) : "",
    op.flops > 0 || op.bytes > 0 ? `${percent(op.shareOfLimit)} ${op.bound}` : "",
  ];
}

function milliseconds(seconds: number): string {
  return (seconds * 1000).toFixed(2);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
