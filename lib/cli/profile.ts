import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { FIRST_RANK_TOKEN, type RaggedBatch, tokenizeRows } from "../batching/index.js";
import { Denoiser } from "../model/denoiser.js";
import { chooseWithoutReplacement } from "../tokenizer/choose.js";
import { CountTokens, GeneVocabulary } from "../tokenizer/index.js";
import { CLS_GENE } from "../tokenizer/ragged_batch.js";
import { type OpProfile, profileStep, type StepProfile } from "../training/profile.js";
import { defineCommand } from "./shared/command.js";
import { DATA_OPTIONS, describeDevice, openData } from "./shared/open.js";
import type { OptionValues } from "./shared/options.js";
import { type Output, withThousands } from "./shared/output.js";

const NAMES = [
  "values",
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
/** Largest count of cells that are made up. */
const MOST_COUNT = 8;

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
    const batch = model.ofCounts ? inventedCounts(options, model) : inventedRanks(options, model);
    return { model, batch };
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
  const { values, preset, dropout, length, seed, forward, device, dtype } = options;
  return Denoiser.create({
    vocabulary,
    preset,
    shape: { dropout },
    ...(values === "ranks" ? { values, diffusion: { meanMatching: 1 } } : {}),
    tokenizer: { maxLength: length, seed },
    seed,
    trainable: !forward,
    profile: true,
    ...(device === undefined ? {} : { device }),
    ...(dtype === undefined ? {} : { dtype }),
  });
}

/** Cells of so many random genes with counts, of all that the vocabulary has. */
function inventedCounts({ batch, length, seed }: Options, model: Denoiser): RaggedBatch {
  const cells = batch ?? DEFAULT_CELLS;
  const { vocabulary } = model;
  const specials = vocabulary.size - vocabulary.geneCount;
  const expressed = Math.min(length - 1, vocabulary.geneCount);
  const random = new RandomStream(seed, Purpose.simulate);
  const tokens = new CountTokens();
  const genes: number[] = [];
  const counts: number[] = [];
  for (let cell = 0; cell < cells; cell++) {
    genes.push(CLS_GENE);
    counts.push(0);
    for (const place of chooseWithoutReplacement(vocabulary.geneCount, expressed, random)) {
      genes.push(specials + place);
      counts.push(1 + random.below(MOST_COUNT));
    }
  }
  return {
    offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => cell * (expressed + 1)),
    genes: Int32Array.from(genes),
    tokens: Int32Array.from(counts, (count) => (count === 0 ? 0 : FIRST_RANK_TOKEN + tokens.valueOf(count))),
    cells: Float64Array.from({ length: cells }, (_, cell) => cell),
    counts: Int32Array.from(counts),
    panels: new Int32Array(cells),
  };
}

/** Cells of random genes and ranks, all of the same length. */
function inventedRanks({ batch, length, seed }: Options, model: Denoiser): RaggedBatch {
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
