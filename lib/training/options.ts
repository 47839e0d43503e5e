import { checkOptions } from "../base/arguments.js";
import { checkNumber, checkOptionNames, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import { type BatchLimit, checkLimit } from "../batching/limit.js";
import { checkPlanOptions } from "../batching/plan.js";
import { BATCHES_AHEAD } from "../batching/read_ahead.js";
import type { Cluster } from "../cluster/cluster.js";
import { HELD_OUT_SHARE } from "./defaults.js";
import { type LearningRateOption, resolveSchedule } from "./learning_rate.js";

/** Options of `Trainer`. */
export interface TrainerOptions {
  /**
   * Folder of the run: checkpoints `step-N`, the links `last` and `best` to them, and `metrics.jsonl`. Must not exist,
   * or be empty. Default: nothing is written.
   */
  readonly folder?: string;
  /** Whether a run that `folder` holds is replaced, other files in it left alone; default false. */
  readonly overwrite?: boolean;
  /** The processes that train together, each with the same other options: what `joinCluster` gave. Default this one alone. */
  readonly cluster?: Cluster;
  /** Highest learning rate of AdamW, > 0; default 3e-4, for models of counts 2e-3 * 128 / width, at most 2e-3. */
  readonly learningRate?: number;
  /**
   * How the rate runs. Default: for a given number of steps a cosine down to 5% of the rate, else constant; either
   * after a warm-up of 2,500 steps, or of a tenth of the run if that is shorter.
   */
  readonly schedule?: LearningRateOption;
  /** Decay of the first moment, 0..1; default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, 0..1; default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second moment, > 0; default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled weight decay, >= 0; default 0, for models of counts 0.01. */
  readonly weightDecay?: number;
  /** Largest global norm of the gradient, which is scaled down to it; 0: no clipping. Default 1. */
  readonly clip?: number;
  /** Batches a step: their gradients are added up, exactly as if they were one batch. Default 1. */
  readonly accumulation?: number;
  /**
   * Whether a block's activations are computed again on the way back instead of being kept: the same weights to the
   * last bit, in a fraction of the memory and about a quarter more time. Default false.
   */
  readonly recompute?: boolean;
  /** Decay of the moving average, 0..1 (exclusive), at step n capped at (1 + n) / (10 + n). Default 0.9999, for models of counts 0.995. */
  readonly ema?: number;
  /** Cells a batch; default 64. Not together with `batchTokens`. */
  readonly batchCells?: number;
  /** Tokens a batch at most, in place of `batchCells`. */
  readonly batchTokens?: number;
  /** Tokens a cell at most in training, cls included; default the model's. */
  readonly maxLength?: number;
  /** Whether cells of similar length share a batch, which evens out the time of steps; default false. */
  readonly lengthBuckets?: boolean;
  /**
   * Lanes that the data's parts (files, row groups, chunks) are divided into for reading: every batch has its share of cells of each,
   * and each of several processes reads its own lanes alone. A multiple of their number; not with `batchTokens` or `lengthBuckets`.
   * Default 1: batches are of any parts.
   */
  readonly lanes?: number;
  /** Batches made ahead of time; default 4. */
  readonly prefetch?: number;
  /** Whether a thread of its own reads and tokenizes; default true. The batches are the same. */
  readonly worker?: boolean;
  /** Whether counts may be fractions, as of normalised data, instead of an error; default false. */
  readonly allowFractional?: boolean;
  /** Train and validate only on cells for which this condition on their metadata holds: see `WhereFilter`. Default all. */
  readonly where?: string;
  /** Seed of the split, the order of cells, times, masks and dropout: a whole number below 2^53; default 0. */
  readonly seed?: number;
  /** Held-out cells, or false to train on all. */
  readonly validation?: ValidationOptions | false;
  readonly checkpoint?: CheckpointOptions;
  /** What a model of counts is asked about and told; not for models of ranks. */
  readonly queries?: Partial<QuerySettings>;
  /**
   * Validations without a better one after which the training ends, its best checkpoint kept; 0: it goes on to its last step.
   * Default 5 for models of counts, 0 for models of ranks.
   */
  readonly patience?: number;
}

/** What a model of counts is asked about and told in training, and how fast its state learns. */
export interface QuerySettings {
  /** Hidden genes with a count of 0 that are asked about, a cell, at most; weighted to stand for all. Default 64. */
  readonly zeros: number;
  /**
   * Hidden genes with a count above 0 that are asked about, a cell, at most; weighted to stand for all. Default null: 128, or a third of
   * them where that is more, 256 at most (`askedExpressed`).
   */
  readonly expressed: number | null;
  /**
   * Augmentation: half of the cells lose a part of their molecules, evenly drawn from 0 to this share, before anything is hidden:
   * they are cells that were sequenced less. 0..1 (exclusive); default 0.
   */
  readonly thinning: number;
  /**
   * How much more often most of a cell is hidden than little: the share that is hidden is 1 - (1 - u)^mostlyHidden, u uniform; 1: each
   * share as often. 1..10, default 2.
   */
  readonly mostlyHidden: number;
  /** Share of the cells that are told their whole total, 0..1; the others estimate it from what is visible. Default 0.25. */
  readonly totalGiven: number;
  /**
   * Factor on the learning rate of the cell's state: the genes' factors and sizes, and what reads the summary; default 3.
   * How the state moves sizes is learnt at that rate from 3,000 training cells on, and with fewer at less in proportion: at the
   * whole rate it learns few cells by heart.
   */
  readonly stateRate: number;
  /** Chance that a condition of a cell is left out, so that the model knows cells without it, too; 0..1, default 0.2. */
  readonly conditionDrop: number;
}

const OPTION_NAMES: Readonly<Record<keyof TrainerOptions, true>> = {
  folder: true,
  overwrite: true,
  cluster: true,
  learningRate: true,
  schedule: true,
  beta1: true,
  beta2: true,
  epsilon: true,
  weightDecay: true,
  clip: true,
  accumulation: true,
  recompute: true,
  ema: true,
  batchCells: true,
  batchTokens: true,
  maxLength: true,
  lengthBuckets: true,
  lanes: true,
  prefetch: true,
  worker: true,
  allowFractional: true,
  where: true,
  seed: true,
  validation: true,
  checkpoint: true,
  queries: true,
  patience: true,
};

/** When and on what a training is validated. */
export interface ValidationOptions {
  /** Share of the cells that is held out, 0..1 (both exclusive); default 0.1. Not together with `where`. */
  readonly fraction?: number;
  /** Hold out the cells for which this condition on their metadata holds, such as a cell line or a drug. */
  readonly where?: string;
  /** Steps between validations; the last step is always one. Default a tenth of the run, 500 at most. */
  readonly every?: number;
  /** Held-out cells that a validation takes at most, always the same; default 512. */
  readonly cells?: number;
}

/** When a training is saved, and what is kept. */
export interface CheckpointOptions {
  /** Steps between checkpoints; the last step is always one. Default a tenth of the run, 500 at most. */
  readonly every?: number;
  /** Newest checkpoints that are kept beside the best; default 2. */
  readonly keep?: number;
}

/** `TrainerOptions` checked, with defaults filled in; plain JSON, saved with every checkpoint. */
export interface TrainerSettings {
  readonly learningRate: number;
  /** Null: the default of `resolveSchedule`. */
  readonly schedule: LearningRateOption | null;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly accumulation: number;
  readonly recompute: boolean;
  readonly ema: number;
  readonly limit: BatchLimit;
  readonly maxLength: number;
  readonly lengthBuckets: boolean;
  readonly lanes: number;
  readonly prefetch: number;
  readonly worker: boolean;
  readonly allowFractional: boolean;
  readonly seed: number;
  /** Null: all cells. */
  readonly where: string | null;
  /** Null: no cells are held out. `where` null: a share of the cells is. `every` null: from the length of the run. */
  readonly validation: {
    readonly fraction: number;
    readonly where: string | null;
    readonly every: number | null;
    readonly cells: number;
  } | null;
  readonly checkpoint: { readonly every: number | null; readonly keep: number };
  /** Null: the model is of ranks. */
  readonly queries: QuerySettings | null;
  readonly patience: number;
}

/** Largest step number and the like. */
const MANY = 1e9;
/** Steps between validations and between checkpoints of a run that is long or without end. */
const LONGEST_INTERVAL = 500;
const INTERVALS_A_RUN = 10;

const OPTION_KINDS = {
  folder: "text",
  overwrite: "switch",
  recompute: "switch",
  lengthBuckets: "switch",
  worker: "switch",
  allowFractional: "switch",
  schedule: "object",
  where: "text",
  checkpoint: "object",
  queries: "object",
} as const;

/** What settings depend on. */
export interface TrainedModel {
  /** Tokens a cell at most, cls included. */
  readonly maxLength: number;
  readonly ofCounts: boolean;
  /** Width D of the residual stream. */
  readonly hidden: number;
}

/** Defaults that differ between the kinds of models; those of counts were measured: see docs/training.md. */
const RANK_DEFAULTS = { learningRate: 3e-4, weightDecay: 0, ema: 0.9999, patience: 0 };
const COUNT_DEFAULTS = { weightDecay: 0.01, ema: 0.995, patience: 5 };
/** Learning rate of a model of counts of the width of preset nano; wider ones learn in proportion more slowly. */
const NANO_RATE = 2e-3;
const NANO_WIDTH = 128;
const QUERY_DEFAULTS: QuerySettings = {
  zeros: 64,
  expressed: null,
  thinning: 0,
  mostlyHidden: 2,
  totalGiven: 0.25,
  stateRate: 3,
  conditionDrop: 0.2,
};

/**
 * Throws `ARGUMENT_RANGE` for a number out of range, `ARGUMENT_CONFLICT` for queries of a model of ranks and for lanes beside what goes without, `BATCH_SIZE_TWICE` for a batch size in cells and in tokens,
 * `ARGUMENT_NAME_UNKNOWN` for a name that is no option.
 */
export function trainerSettings(options: TrainerOptions, model: TrainedModel): TrainerSettings {
  checkOptionNames("options of a trainer", options, OPTION_NAMES);
  checkOptions(options, OPTION_KINDS);
  if (options.validation !== false) checkOptions(options, { validation: "object" });
  const { validation = {}, checkpoint = {} } = options;
  const countRate = Math.min(NANO_RATE, (NANO_RATE * NANO_WIDTH) / model.hidden);
  const defaults = model.ofCounts ? { learningRate: countRate, ...COUNT_DEFAULTS } : RANK_DEFAULTS;
  if (validation !== false && validation.fraction !== undefined && validation.where !== undefined) {
    throw new DdscError(
      "ARGUMENT_CONFLICT",
      "validation.fraction and validation.where exclude each other; give one of them",
      { argument: "validation.where" },
    );
  }
  const optional = (argument: string, value: number | undefined) =>
    value === undefined ? null : checkWhole(argument, value, 1, MANY);
  const positive = { min: Number.MIN_VALUE };
  const below1 = { min: 0, max: 1 - 2 ** -24 };
  const { lengthBuckets = false, lanes = 1 } = options;
  const seed = checkSeed(options.seed ?? 0);
  const plan = checkPlanOptions({ limit: batchLimit(options), lengthBuckets, lanes, seed });
  return {
    learningRate: checkNumber("learningRate", options.learningRate ?? defaults.learningRate, {
      ...positive,
      max: 10,
    }),
    schedule: checkedSchedule(options.schedule),
    beta1: checkNumber("beta1", options.beta1 ?? 0.9, below1),
    beta2: checkNumber("beta2", options.beta2 ?? 0.999, below1),
    epsilon: checkNumber("epsilon", options.epsilon ?? 1e-8, { ...positive, max: 1 }),
    weightDecay: checkNumber("weightDecay", options.weightDecay ?? defaults.weightDecay, { min: 0, max: 10 }),
    clip: checkNumber("clip", options.clip ?? 1, { min: 0 }),
    accumulation: checkWhole("accumulation", options.accumulation ?? 1, 1, 65_536),
    recompute: options.recompute ?? false,
    ema: checkNumber("ema", options.ema ?? defaults.ema, below1),
    limit: plan.limit,
    maxLength: checkWhole("maxLength", options.maxLength ?? model.maxLength, 2, MANY),
    lengthBuckets: plan.lengthBuckets,
    lanes: plan.lanes,
    prefetch: checkWhole("prefetch", options.prefetch ?? BATCHES_AHEAD, 1, 1024),
    worker: options.worker ?? true,
    allowFractional: options.allowFractional ?? false,
    seed,
    where: options.where ?? null,
    validation:
      validation === false
        ? null
        : {
            fraction: checkNumber("validation.fraction", validation.fraction ?? HELD_OUT_SHARE, {
              min: 1e-6,
              max: 1 - 1e-6,
            }),
            where: validation.where ?? null,
            every: optional("validation.every", validation.every),
            cells: checkWhole("validation.cells", validation.cells ?? 512, 1, MANY),
          },
    checkpoint: {
      every: optional("checkpoint.every", checkpoint.every),
      keep: checkWhole("checkpoint.keep", checkpoint.keep ?? 2, 1, MANY),
    },
    queries: querySettings(options.queries, model),
    patience: checkWhole("patience", options.patience ?? defaults.patience, 0, MANY),
  };
}

function querySettings(
  options: Partial<QuerySettings> | undefined,
  { ofCounts }: TrainedModel,
): QuerySettings | null {
  if (!ofCounts) {
    if (options === undefined) return null;
    throw new DdscError(
      "ARGUMENT_CONFLICT",
      "queries are for models of counts; leave them out, or make a model of counts",
      { argument: "queries" },
    );
  }
  const { zeros, expressed, thinning, mostlyHidden, totalGiven, stateRate, conditionDrop } = {
    ...QUERY_DEFAULTS,
    ...options,
  };
  const most = { min: 1, max: 2 ** 20, integer: true };
  return {
    zeros: checkNumber("queries.zeros", zeros, most),
    expressed: expressed === null ? null : checkNumber("queries.expressed", expressed, most),
    thinning: checkNumber("queries.thinning", thinning, { min: 0, max: 0.99 }),
    mostlyHidden: checkNumber("queries.mostlyHidden", mostlyHidden, { min: 1, max: 10 }),
    totalGiven: checkNumber("queries.totalGiven", totalGiven, { min: 0, max: 1 }),
    stateRate: checkNumber("queries.stateRate", stateRate, { min: 0, max: 1000 }),
    conditionDrop: checkNumber("queries.conditionDrop", conditionDrop, { min: 0, max: 1 }),
  };
}

/** How many of a cell's hidden genes with a count are asked about in a step: `chooseQueries`' words for `QuerySettings.expressed`. */
export function expressedLimits({ expressed }: Pick<QuerySettings, "expressed">): {
  readonly expressed: number;
  readonly expressedMost: number;
} {
  return expressed === null ? { expressed: 128, expressedMost: 256 } : { expressed, expressedMost: 0 };
}

/** How many of so many that is, as `chooseQueries` has it. */
export function askedExpressed(hidden: number, queries: Pick<QuerySettings, "expressed">): number {
  const { expressed, expressedMost } = expressedLimits(queries);
  return Math.min(hidden, Math.max(expressed, Math.min(hidden / 3, expressedMost)));
}

/** A schedule as it was asked for, checked as far as the length of the run does not matter. */
function checkedSchedule(schedule: LearningRateOption | undefined): LearningRateOption | null {
  if (schedule === undefined) return null;
  resolveSchedule(schedule, MANY);
  return schedule;
}

/** Options that give these settings again. */
export function optionsOf(settings: TrainerSettings): TrainerOptions {
  const { limit, schedule, where, validation, checkpoint, queries, ...same } = settings;
  return {
    ...same,
    ...(limit.kind === "cells" ? { batchCells: limit.cells } : { batchTokens: limit.tokens }),
    ...(schedule === null ? {} : { schedule }),
    ...(where === null ? {} : { where }),
    validation: validation === null ? false : validationOf(validation),
    checkpoint: withoutNull(checkpoint),
    ...(queries === null ? {} : { queries }),
  };
}

function withoutNull<T extends { readonly every: number | null }>({ every, ...rest }: T) {
  return every === null ? rest : { ...rest, every };
}

function validationOf(validation: NonNullable<TrainerSettings["validation"]>): ValidationOptions {
  const { fraction, where, ...rest } = withoutNull(validation);
  return { ...rest, ...(where === null ? { fraction } : { where }) };
}

/** Steps between two validations or checkpoints. */
export function interval(every: number | null, steps: number | undefined): number {
  if (every !== null) return every;
  return steps === undefined
    ? LONGEST_INTERVAL
    : Math.min(LONGEST_INTERVAL, Math.ceil(steps / INTERVALS_A_RUN));
}

function batchLimit({ batchCells, batchTokens }: TrainerOptions): BatchLimit {
  if (batchCells !== undefined && batchTokens !== undefined) {
    throw new DdscError(
      "BATCH_SIZE_TWICE",
      "batchCells and batchTokens cannot both be given; leave one of them out",
      {
        argument: "batchTokens",
      },
    );
  }
  return checkLimit(
    batchTokens === undefined
      ? { kind: "cells", cells: batchCells ?? 64 }
      : { kind: "tokens", tokens: batchTokens },
  );
}
