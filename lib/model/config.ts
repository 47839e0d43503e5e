import { checkChoice, checkNumber, checkWhole, DdscError } from "../base/errors.js";
import { SUMMARY_EXTRAS } from "../counts/network_rows.js";
import type { CountShape, DenoiserConfig } from "../native/types.js";

/** The part of a model's shape that is a matter of choice; the rest follows from vocabulary and token strategy. */
export interface ModelShape {
  /** Width D of the residual stream. */
  readonly hidden: number;
  readonly blocks: number;
  /** Attention heads; D / heads is even. */
  readonly heads: number;
  /** Width of the conditioning (time) vector; default 128. */
  readonly condDim: number;
  /** Dropout probability in training, 0 <= p < 1; default 0.1. */
  readonly dropout: number;
  /** Whether the network sees the noise level; default false. */
  readonly timeConditioning: boolean;
  /** Rotary position embedding in attention; default true. */
  readonly rotary: boolean;
}

/** Names of the ready-made shapes, smallest first. */
export const presetNames = ["nano", "tiny", "small", "medium"] as const;
/** One of `presetNames`. */
export type PresetName = (typeof presetNames)[number];

const common = { condDim: 128, dropout: 0.1, timeConditioning: false, rotary: true } as const;

/** What models of counts have otherwise: they are told how much is hidden, and genes have no order. */
const countDefaults = { timeConditioning: true, rotary: false } as const;

/** The ready-made shapes; heads are 64 wide in each. */
export const presets: Readonly<Record<PresetName, ModelShape>> = {
  nano: { hidden: 128, blocks: 4, heads: 2, ...common },
  tiny: { hidden: 512, blocks: 8, heads: 8, ...common },
  small: { hidden: 768, blocks: 12, heads: 12, ...common },
  medium: { hidden: 1024, blocks: 24, heads: 16, ...common },
};

/** Tokens that are no values: 0 (special), 1 (reserved) and the mask, last. */
export const NON_VALUE_TOKENS = 3;
/** Width of a cell's state in a model of counts, and of the summary of its visible genes. */
export const STATE_WIDTH = 32;

/**
 * The full shape of a model: a preset, changed where `changes` says so, for a strategy of `values` ranks and a gene
 * embedding of `geneVocabSize` rows. Throws `ARGUMENT_CHOICE`, `ARGUMENT_RANGE`, `MODEL_CONFIG`.
 */
export function modelConfig(options: {
  readonly preset: PresetName;
  readonly changes?: Partial<ModelShape>;
  readonly values: number;
  readonly geneVocabSize: number;
  /** Of a model of counts: how many labels each condition has, 0 for numbers. */
  readonly conditions?: readonly number[];
}): DenoiserConfig {
  const preset = checkChoice("preset", options.preset, presetNames);
  const shape = {
    vocabSize: options.values + NON_VALUE_TOKENS,
    geneVocabSize: options.geneVocabSize,
    ...presets[preset],
  };
  const { conditions } = options;
  if (conditions === undefined) return checkConfig({ ...shape, ...options.changes });
  return checkConfig({
    ...shape,
    ...countDefaults,
    ...options.changes,
    counts: {
      state: STATE_WIDTH,
      conditions,
      summary: STATE_WIDTH + SUMMARY_EXTRAS,
      learntSizes: true,
      sizesByState: true,
    },
  });
}

/**
 * The shape itself if a denoiser can have it. Throws `ARGUMENT_RANGE` for a number out of range, `ARGUMENT_TYPE` for
 * a switch that is no boolean, `MODEL_CONFIG` where width and heads do not fit.
 */
export function checkConfig(config: DenoiserConfig): DenoiserConfig {
  const whole = (field: keyof DenoiserConfig, min: number, max: number) =>
    checkWhole(field, config[field], min, max);
  const switched = (field: "timeConditioning" | "rotary") => checkSwitch(field, config[field]);
  const checked: DenoiserConfig = {
    vocabSize: whole("vocabSize", NON_VALUE_TOKENS + 1, 65_536),
    geneVocabSize: whole("geneVocabSize", 4, 2 ** 24),
    hidden: whole("hidden", 2, 16_384),
    blocks: whole("blocks", 1, 256),
    heads: whole("heads", 1, 256),
    condDim: whole("condDim", 1, 16_384),
    dropout: checkNumber("dropout", config.dropout, { min: 0, max: 0.99 }),
    timeConditioning: switched("timeConditioning"),
    rotary: switched("rotary"),
    ...(config.counts === undefined ? {} : { counts: checkCounts(config.counts) }),
  };
  if (checked.counts !== undefined && (checked.rotary || !checked.timeConditioning)) {
    throw new DdscError(
      "MODEL_CONFIG",
      "a model of counts is always told how much is hidden and has no rotary embedding; leave timeConditioning and rotary out, or make a model of ranks (--values ranks)",
      { argument: checked.rotary ? "rotary" : "timeConditioning" },
    );
  }
  if (checked.hidden % (2 * checked.heads) !== 0) {
    throw new DdscError(
      "MODEL_CONFIG",
      `hidden ${checked.hidden} cannot be split into ${checked.heads} heads of an even width; ` +
        `make hidden a multiple of ${2 * checked.heads}, or change heads`,
      { argument: "heads" },
    );
  }
  return checked;
}

function checkCounts(shape: CountShape): CountShape {
  const { state, conditions, summary, learntSizes } = shape;
  // Models that were saved before it was there have none.
  const { sizesByState = false }: Partial<CountShape> = shape;
  return {
    state: checkWhole("counts.state", state, 1, 1024),
    conditions: conditions.map((labels) => checkWhole("counts.conditions", labels, 0, 1e6)),
    summary: checkWhole("counts.summary", summary, 0, 4096),
    learntSizes: checkSwitch("counts.learntSizes", learntSizes),
    sizesByState: checkSwitch("counts.sizesByState", sizesByState),
  };
}

function checkSwitch(argument: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new DdscError(
    "ARGUMENT_TYPE",
    `expected true or false for ${argument} but received ${String(value)}`,
    { argument },
  );
}
