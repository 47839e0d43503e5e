import { SCHEDULE_KINDS } from "../../diffusion/index.js";
import { DEFAULT_RATIOS, HELD_OUT_CELLS, THIN, TRAINING_CELLS } from "../../evaluation/defaults.js";
import { presetNames } from "../../model/config.js";
import { COUNT_SAMPLER_KINDS, WHOLE_CELL_GUIDANCE } from "../../sampling/counts/options.js";
import { MAX_STEPS, SAMPLER_KINDS } from "../../sampling/options.js";
import { HELD_OUT_SHARE } from "../../training/defaults.js";
import type { OptionSpec, OptionValue } from "./option_kinds.js";

/** A port that stands for the usual one, or any that is free. */
export const USUAL_PORT = -1;

/**
 * Every option of every command, once: help, default and range, on the command line (`--learning-rate`) as in a
 * `--config` file (`learningRate`). A command names the ones it takes.
 */
export const OPTIONS = {
  // Files and folders.
  data: text(
    "FILE",
    "cells: a file, folder, address (https, s3) or pattern of any format; several separated by commas",
  ),
  model: text("DIR", "a trained run: the folder given to `ddsc train --out`"),
  out: text("PATH", "where the result goes"),
  layer: text("NAME", "read layers/NAME instead of X", { defaultText: "X" }),
  raw: flag("read raw/X instead of X"),
  geneTable: text("FILE", "Parquet and Arrow: the table that names gene tokens", {
    defaultText: "found beside the data",
  }),
  geneColumn: text("NAME", "column of var that holds the gene identifiers", { defaultText: "the var index" }),
  genome: text("NAME", "10x files of several genomes: use the genes of this one"),
  transpose: flag("text tables: a line is a gene, not a cell"),
  metadataColumns: text("NAMES", "text tables: columns of numbers that describe cells, separated by commas"),
  allowFractional: flag("take counts that are no whole numbers, as of normalised data"),
  where: text("CONDITION", "only cells for which this holds, such as \"drug = 'DMSO' and n_genes > 200\""),
  by: text("COLUMN", "score each group of cells, by this column of their metadata"),
  shard: text(
    "K/N",
    "do the Kth of N shares of the cells alone and write it to a part beside --out, such as out.part-003-of-100.h5ad, which is kept where it is there already; `ddsc merge` joins parts. auto: as the array job says (Slurm), auto/N (Kubernetes)",
    {
      defaultText:
        "all cells; of several processes that mpirun or srun started, each its own share, joined at once where --out is NAME.zarr",
    },
  ),
  overwrite: flag("replace the file or the run at --out; other files in the folder of a run stay"),

  // The machine.
  device: text("NAME", "auto, cpu, cuda (the first GPU) or cuda:N; see `ddsc devices`", {
    defaultText: "auto: a GPU where one can be used",
  }),
  dtype: {
    kind: "choice",
    help: "compute type; weights and sums are float32 in both",
    choices: ["fp32", "bf16"],
    defaultText: "fp32, or that of the model",
  },
  seed: whole("seed of every random number", { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
  batch: whole("cells a batch", { min: 1, max: 65_536, defaultText: "64" }),
  batchTokens: whole("tokens a batch, in place of --batch", { min: 16, max: 2 ** 26 }),

  // The model.
  vocabulary: text("PATH", "JSON of {token: id}, a saved vocabulary, or the folder of a model or run", {
    defaultText: "the genes of --data",
  }),
  weights: text(
    "PATH",
    "weights to start from: a safetensors file of published names, or the folder of a model or run",
    {
      defaultText: "fresh weights",
    },
  ),
  values: choice(
    "what the model is of: whole cells in counts, zeros included, or the published ranks of expressed genes",
    ["counts", "ranks"],
    "counts",
  ),
  condition: text(
    "COLUMNS",
    "counts: columns of metadata that say what a cell is, separated by commas; numbers may end in :log or :labels",
  ),
  preset: choice("size of the model", presetNames, "nano"),
  dropout: real("probability of dropping an activation while training", { min: 0, max: 0.9, default: 0.1 }),
  timeConditioning: flag("ranks: show the network the noise level"),
  maxLength: whole("genes of a cell that the network sees at most, cls included; the others are hidden", {
    min: 2,
    max: 65_536,
    default: 1024,
  }),
  includeUnexpressed: flag("ranks: fill cells up to --max-length with genes they do not express"),
  minGenes: whole("skip cells with fewer expressed genes", { min: 1, max: 65_536, default: 1 }),

  // Training.
  steps: whole("optimizer steps to train for", { min: 1, max: 1e9, default: 1000 }),
  learningRate: real("peak learning rate", {
    min: 1e-9,
    max: 1,
    defaultText: "2e-3 for nano, less for wider models; of ranks 3e-4",
  }),
  warmup: whole("steps of linear warm-up", {
    min: 0,
    max: 1e9,
    defaultText: "a tenth of --steps, at most 2500",
  }),
  learningRateSchedule: choice("learning rate after the warm-up", ["constant", "cosine"], "cosine"),
  weightDecay: real("decoupled weight decay", { min: 0, max: 10, defaultText: "0.01; of ranks 0" }),
  clip: real("largest norm of the gradient; 0 for any", { min: 0, max: 1e9, default: 1 }),
  ema: real("decay of the moving average of the weights; 0 for none", {
    min: 0,
    max: 0.999999,
    defaultText: "0.995; of ranks 0.9999",
  }),
  patience: whole("validations without a better one after which training ends; 0 for no end", {
    min: 0,
    max: 1e6,
    defaultText: "5; of ranks 0",
  }),
  zeros: whole(
    "counts: hidden genes without a count that a cell is asked about in a step; they stand for all",
    {
      min: 1,
      max: 2 ** 20,
      defaultText: "64",
    },
  ),
  expressed: whole(
    "counts: hidden genes with a count that a cell is asked about in a step; they stand for all",
    {
      min: 1,
      max: 2 ** 20,
      defaultText: "128, or a third where that is more, up to 256",
    },
  ),
  thinning: real("counts: half of the cells lose up to this share of their molecules, as if sequenced less", {
    min: 0,
    max: 0.99,
    defaultText: "0",
  }),
  mostlyHidden: real(
    "counts: how much more often most of a cell is hidden than little; 1: each share of its genes as often",
    { min: 1, max: 10, defaultText: "2" },
  ),
  conditionDrop: real("counts: chance that a condition of a cell is left out in a step", {
    min: 0,
    max: 1,
    defaultText: "0.2",
  }),
  lanes: whole(
    "lanes that the data's parts are divided into: each of several processes reads its own lanes alone; a multiple of their number",
    { min: 1, max: 2 ** 16, default: 1 },
  ),
  shardOptimizer: flag(
    "each of several processes keeps a share of the optimizer's state alone: less memory, more sent, same result",
  ),
  accumulate: whole("batches a step", { min: 1, max: 4096, default: 1 }),
  recompute: flag(
    "keep less memory: compute activations again in backward (about a quarter slower, same result)",
  ),
  validation: real("share of the cells held out for validation and evaluation; 0 for none", {
    min: 0,
    max: 0.9,
    default: HELD_OUT_SHARE,
  }),
  holdout: text("CONDITION", "hold out the cells for which this holds, such as \"cell_line = 'A549'\"", {
    defaultText: "--validation",
  }),
  validateEvery: whole("steps between validations", {
    min: 1,
    max: 1e9,
    defaultText: "a tenth of --steps, at most 500",
  }),
  validationCells: whole("held-out cells a validation takes at most", { min: 1, max: 1e9, default: 512 }),
  checkpointEvery: whole("steps between checkpoints", {
    min: 1,
    max: 1e9,
    defaultText: "a tenth of --steps, at most 500",
  }),
  keep: whole("newest checkpoints kept beside the best", { min: 1, max: 1000, default: 2 }),
  resume: flag("go on with the run in --out"),

  // The objective.
  objective: choice("ranks: parameterisation", ["subs", "d3pm", "sedd"], "subs"),
  diffusionSteps: whole("ranks: time steps T of d3pm", { min: 2, max: 1e6, default: 1000 }),
  noiseSchedule: choice("ranks: noise schedule", SCHEDULE_KINDS, "loglinear"),
  meanMatching: real("ranks: weight of mean matching, |E[rank] - rank| / (R - 1), added to the bound", {
    min: 0,
    max: 1000,
    default: 0,
  }),
  timeSampling: choice(
    "ranks: how the times of a batch are drawn",
    ["antithetic", "independent"],
    "antithetic",
  ),
  importanceSampling: flag("ranks: draw times so that the objective's weight is constant"),
  changeOfVariables: flag("ranks: let the logarithm of the move chance run linearly in time (subs)"),

  // Sampling.
  sampler: choice(
    "how what is hidden is drawn; parallel goes by confidence in models of ranks, at random in those of counts",
    [...new Set([...SAMPLER_KINDS, ...COUNT_SAMPLER_KINDS])],
    "first-hitting",
  ),
  samplingSteps: whole("steps of the samplers that have them", { min: 1, max: MAX_STEPS, default: 32 }),
  temperature: real("temperature of the draws; 0 takes the most probable rank", {
    min: 0,
    max: 100,
    default: 1,
  }),
  set: text(
    "NAME=VALUE",
    'counts: a condition of the cells, such as "cell_type=B cells"; NAME= for none; several separated by commas or each with its own --set',
    { defaultText: "drawn, with the depth, as in the training cells", repeats: true },
  ),
  like: text(
    "FILE",
    "counts: generate cells of the conditions, total counts and measured genes of this file's (of a file of some genes, totals are of whole cells)",
  ),
  depth: whole("counts: total counts of each whole cell, over all genes of the model", {
    min: 1,
    max: 2 ** 31 - 1,
    defaultText: "as deep as the training cells of these conditions",
  }),
  guidance: real(
    "counts: how strongly conditions are followed; 1 as learnt, 0 not at all, more: more typical cells",
    {
      min: 0,
      max: 100,
      default: 1,
    },
  ),
  guidanceRamp: flag("counts: let guidance grow from 1 at the first step to --guidance at the last"),
  evidenceGuidance: real(
    "counts: how much the counts drawn so far decide the next ones; 1 as learnt, more: cells differ more from each other",
    { min: 0, max: 10, default: WHOLE_CELL_GUIDANCE },
  ),
  eta: real("counts: how often the remasking sampler hides drawn genes again", {
    min: 0,
    max: 1,
    default: 0.2,
  }),
  cells: whole("cells to generate or simulate", { min: 1, max: 1e8, default: 100 }),
  genes: text(
    "LIST|FILE",
    "genes, comma-separated, or a text file of them: one a line, or separated by commas or tabs",
  ),
  skipUnknown: flag(
    "leave out genes of --genes that the model or the file lacks, with a note, instead of an error",
  ),
  fill: choice(
    "zeros: genes without a count in the cell; listed: those of --genes in every cell, whatever their count",
    ["zeros", "listed"],
    "zeros",
  ),
  atOnce: whole("genes filled in together in a cell: the model takes each of them for expressed", {
    min: 1,
    max: 65_536,
    defaultText: "as many as the cell expresses, at least 16",
  }),
  maskFraction: real("hide this share of the expressed genes, fill them and report how well it went", {
    min: 0.01,
    max: 0.99,
  }),

  // Denoising and embedding with models of counts.
  layers: text(
    "NAMES",
    "counts: layers to write, of denoised, p_expressed, low, high and replicate, separated by commas",
    {
      defaultText: "denoised,p_expressed",
    },
  ),
  least: real("counts: values of denoised and p_expressed below it are not stored; 0 keeps all", {
    min: 0,
    max: 1,
    defaultText: "0.01",
  }),
  replaceX: flag("counts: X becomes the denoised counts, and the counts go to layers/counts"),
  tell: choice(
    "counts: what the model is told of a cell's conditions: its own, from the columns of --data, or none",
    ["own", "none"],
    "own",
  ),
  nll: flag("write obs/ddsc_nll, too, each cell's negative log-likelihood: takes some 15 times as long"),

  // Profile.
  forward: flag("profile one run of the network instead of a training step"),
  length: whole("tokens a cell; with --data at most", { min: 2, max: 65_536, default: 1024 }),
  geneCount: whole("genes of the vocabulary, where there is no --data", {
    min: 1,
    max: 2 ** 20,
    default: 20_000,
  }),
  repeats: whole("runs of which the fastest counts", { min: 1, max: 1000, default: 5 }),

  // Conversion.
  simulate: whole("simulate so many cells", { min: 1, max: 1e7 }),
  simulatedGenes: whole("genes of simulated cells", { min: 8, max: 1e6, default: 400 }),
  simulatedDepth: whole("median total counts of simulated cells", {
    min: 1,
    max: 1e7,
    defaultText: "four times the genes",
  }),
  cellsPerFile: whole("cells a Parquet file", { min: 1, max: 2 ** 31 - 1, default: 100_000 }),

  // Demo.
  short: flag("a few seconds of everything, to see that it works"),

  // Evaluation.
  ratios: numbers("shares of masked tokens", { min: 0.01, max: 0.99, default: DEFAULT_RATIOS }),

  thin: real("counts: share of the molecules that molecular cross-validation tests on; 0 for none", {
    min: 0,
    max: 0.9,
    default: THIN,
  }),
  openProblems: flag("counts: give the two numbers of the Open Problems denoising benchmark, too"),
  heldOutCells: whole("counts: held-out cells that are scored at most", {
    min: 1,
    max: 1e7,
    default: HELD_OUT_CELLS,
  }),
  trainingCells: whole("counts: training cells that baselines are fitted on at most", {
    min: 2,
    max: 1e7,
    default: TRAINING_CELLS,
  }),

  // Published weights.
  heads: whole("attention heads", {
    min: 1,
    max: 256,
    defaultText: "those of the checkpoint, or of the preset of its width",
  }),
  format: choice("layout of the folder", ["huggingface"], "huggingface"),
  trained: flag("take the weights as trained, not their moving average"),
  evaluation: text("FILE", "what `ddsc evaluate --json` printed for the model, for the scores of the card", {
    defaultText: "evaluation.json in the folder of the model or run, if there is one",
  }),

  // Comparison.
  train: text("FILE", "real cells that the generator learnt from; REAL are then all held out", {
    defaultText: "half of REAL, or those of --model",
  }),

  // Report.
  png: text("DIR", "write each figure as a PNG file into this folder, too"),
  gif: text("FILE", "write a cell being filled in, and one being generated, as a GIF, too"),
  // Looking on.
  watch: whole(
    "serve a page about the run on this machine while it trains, at this port; 0 for any that is free",
    {
      min: 0,
      max: 65_535,
      bare: USUAL_PORT,
      defaultText: "no page; without N 6116, or any that is free where that is in use",
    },
  ),
  port: whole("port to listen at; 0 for any that is free", {
    min: 0,
    max: 65_535,
    defaultText: "6116, or any that is free where that is in use",
  }),
  host: text(
    "ADDRESS",
    "address to listen at; one that other machines reach needs a token, which is printed",
    {
      defaultText: "127.0.0.1",
    },
  ),
  token: flag("ask for a token on this machine, too"),
  tensorboard: text("DIR", "write event files for TensorBoard into this folder, beside metrics.jsonl"),

  // All commands.
  config: text("FILE", "JSON file with any of these options; the command line wins"),
  json: flag("end the output with one JSON object on the last line"),
  quiet: flag("no progress; with --json nothing on stdout but its object"),
  debug: flag("show where an error came from; also DDSC_DEBUG=1"),
} as const satisfies Readonly<Record<string, OptionSpec>>;

export type OptionName = keyof typeof OPTIONS;

type Table = typeof OPTIONS;
/** Options that always have a value: flags and those with a default. */
type Certain<N extends OptionName> = {
  [K in N]: Table[K] extends { kind: "flag" } | { default: unknown } ? K : never;
}[N];

/** The values of some options; `R` are those a command cannot do without. */
export type OptionValues<N extends OptionName, R extends N = never> = {
  readonly [K in N]: K extends R | Certain<N> ? OptionValue<Table[K]> : OptionValue<Table[K]> | undefined;
};

/** Options that every command takes. */
export const EVERYWHERE = ["config", "json", "quiet", "debug"] as const satisfies readonly OptionName[];

interface Extra {
  readonly default?: string;
  readonly defaultText?: string;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function text<const E extends Extra>(placeholder: string, help: string, extra?: E) {
  return { kind: "text" as const, placeholder, help, ...extra };
}

function flag(help: string) {
  return { kind: "flag" as const, help };
}

function choice<const C extends string>(help: string, choices: readonly C[], fallback: NoInfer<C>) {
  return { kind: "choice" as const, help, choices, default: fallback };
}

function real<const E extends Range>(help: string, extra: E) {
  return { kind: "number" as const, help, ...extra };
}

function whole<const E extends Range>(help: string, extra: E) {
  return { kind: "number" as const, integer: true, help, ...extra };
}

function numbers<const E extends Range>(help: string, extra: E) {
  return { kind: "numbers" as const, help, ...extra };
}
