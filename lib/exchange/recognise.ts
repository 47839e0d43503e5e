/** The shape and the objective of a published model, from its tensors and its hyperparameters. */
import { DdscError } from "../base/errors.js";
import {
  type DiffusionConfig,
  diffusionFrom,
  SCHEDULE_KINDS,
  type ScheduleConfig,
} from "../diffusion/index.js";
import { checkConfig, type ModelShape, NON_VALUE_TOKENS, presets } from "../model/config.js";
import type { DenoiserConfig } from "../native/types.js";
import type { Setting } from "./hyperparameters.js";
import { quoted } from "./pickle_errors.js";
import type { StateDict } from "./state_dict.js";

/** What the caller knows better than the checkpoint. */
export interface KnownShape
  extends Partial<Pick<ModelShape, "heads" | "dropout" | "timeConditioning" | "rotary">> {}

/** What was recognised, and what had to be assumed. */
export interface Recognised {
  readonly config: DenoiserConfig;
  readonly diffusion: DiffusionConfig;
  /** Tokens a cell at most, where the checkpoint says. */
  readonly maxLength: number | undefined;
  /** What neither shapes nor hyperparameters told, for people. */
  readonly assumed: readonly string[];
}

/** Width of a head where nothing tells their number: that of all published models. */
const HEAD_WIDTH = 64;

type Settings = ReadonlyMap<string, Setting>;

/**
 * Recognises a model of ranks. Widths, blocks and both vocabularies are those of the tensors; heads, dropout, time conditioning, objective
 * and schedule come from the hyperparameters of the original's configuration (`model.n_heads`, `parameterization`, `noise.type`, ...),
 * where the caller does not know better.
 *
 * Throws `CHECKPOINT_TENSORS` where shapes make no denoiser, or one of counts, `MODEL_CONFIG` and `ARGUMENT_RANGE` for a shape that cannot be.
 */
export function recognise(
  weights: StateDict,
  settings: Settings,
  known: {
    readonly shape?: KnownShape | undefined;
    readonly diffusion?: Partial<DiffusionConfig> | undefined;
  },
  file: string,
): Recognised {
  const { shape = {}, diffusion = {} } = known;
  if (weights.has("factor.weight")) {
    throw shapeError(
      file,
      "these are weights of a model of counts, which needs more than them; export it with `ddsc export`, and use the folder",
    );
  }
  const assumed: string[] = [];
  const [vocabSize, hidden] = lengths(weights, "vocab_embed.embedding", file);
  const [geneVocabSize] = lengths(weights, "cond_embed.embedding", file);
  const [condDim] = lengths(weights, "sigma_map.mlp.0.weight", file);
  const choose = <T extends Setting>(
    what: string,
    given: T | undefined,
    names: readonly string[],
    fallback: T,
    shown: string,
  ): T => {
    if (given !== undefined) return given;
    const found = setting(settings, names, typeof fallback);
    if (found !== undefined) return found as T;
    assumed.push(`${what} ${shown}`);
    return fallback;
  };
  const heads = guessHeads(hidden);
  const config: DenoiserConfig = {
    vocabSize,
    geneVocabSize,
    hidden,
    condDim,
    blocks: countBlocks(weights, file),
    heads: choose(
      "heads",
      shape.heads,
      ["model.n_heads", "model.heads", "n_heads", "num_heads", "heads"],
      heads,
      `${heads}`,
    ),
    dropout: choose("dropout", shape.dropout, ["model.dropout", "dropout"], 0.1, "0.1"),
    timeConditioning: choose(
      "time conditioning",
      shape.timeConditioning,
      ["time_conditioning", "model.time_conditioning"],
      false,
      "off",
    ),
    rotary:
      shape.rotary ??
      (setting(settings, ["model.rotary", "rotary"], "boolean") as boolean | undefined) ??
      true,
  };
  return {
    config: checkConfig(config),
    diffusion: recogniseDiffusion(settings, diffusion, assumed),
    maxLength: setting(settings, ["model.length", "model.max_length", "max_length"], "number") as
      | number
      | undefined,
    assumed,
  };
}

/** Number of values R of the published tokenizer. Throws `CHECKPOINT_TENSORS` for fewer than two. */
export function rankCount({ vocabSize }: DenoiserConfig, file: string): number {
  const ranks = vocabSize - NON_VALUE_TOKENS;
  if (ranks >= 2) return ranks;
  throw shapeError(file, `vocab_embed.embedding has ${vocabSize} rows, too few for ranks`);
}

function recogniseDiffusion(
  settings: Settings,
  own: Partial<DiffusionConfig>,
  assumed: string[],
): DiffusionConfig {
  const text = (...names: string[]) => setting(settings, names, "string") as string | undefined;
  const number = (...names: string[]) => setting(settings, names, "number") as number | undefined;
  const flag = (name: keyof DiffusionConfig, ...names: string[]) => {
    const found = setting(settings, names, "boolean");
    return found === undefined ? {} : { [name]: found };
  };
  const kind = text("parameterization", "parameterisation", "objective");
  const schedule = text("noise.type", "noise_type", "noise");
  if (kind === undefined && own.objective === undefined) assumed.push("objective subs");
  if (schedule === undefined && own.schedule === undefined) assumed.push("noise schedule loglinear");
  const steps = number("T", "diffusion_steps") ?? 0;
  const minimumTime = number("training.sampling_eps", "sampling_eps");
  const meanMatching = number("training.mean_matching", "mean_matching");
  return diffusionFrom({
    ...(kind === undefined || own.objective !== undefined
      ? {}
      : { objective: kind === "d3pm" ? { kind, steps } : { kind } }),
    ...(schedule === undefined || own.schedule !== undefined
      ? {}
      : { schedule: scheduleOf(schedule, number) }),
    ...flag("antithetic", "training.antithetic_sampling", "antithetic_sampling"),
    ...flag("importanceSampling", "training.importance_sampling", "importance_sampling"),
    ...flag("changeOfVariables", "training.change_of_variables", "change_of_variables"),
    ...(minimumTime === undefined ? {} : { minimumTime }),
    ...(meanMatching === undefined ? {} : { meanMatching }),
    ...own,
  });
}

function scheduleOf(
  name: string,
  number: (...names: string[]) => number | undefined,
): Record<string, unknown> {
  const kind = name === "cosinesqr" ? "cosine-squared" : name;
  const isKnown = SCHEDULE_KINDS.includes(kind as ScheduleConfig["kind"]);
  if (!isKnown || (kind !== "linear" && kind !== "geometric")) {
    const eps = isKnown ? number("noise.eps") : undefined;
    return { kind, ...(eps === undefined ? {} : { eps }) };
  }
  const min = number("noise.sigma_min", "sigma_min");
  const max = number("noise.sigma_max", "sigma_max");
  return { kind, ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
}

/** The first of these settings that is of the type; text such as OmegaConf's "${...}" is a reference, not a value. */
function setting(settings: Settings, names: readonly string[], type: string): Setting | undefined {
  for (const name of names) {
    const value = settings.get(name);
    if (typeof value === type && !(typeof value === "string" && value.startsWith("${"))) return value;
  }
  return undefined;
}

/** Heads of the preset of this width, else as many as have the usual width. */
function guessHeads(hidden: number): number {
  const preset = Object.values(presets).find((shape) => shape.hidden === hidden);
  return preset?.heads ?? Math.max(1, Math.round(hidden / HEAD_WIDTH));
}

function countBlocks(weights: StateDict, file: string): number {
  const numbers = new Set<number>();
  for (const name of weights.keys()) {
    const [, block] = /^blocks\.(\d{1,4})\./.exec(name) ?? [];
    if (block !== undefined) numbers.add(Number(block));
  }
  const blocks = numbers.size;
  const missing = Array.from({ length: blocks }, (_, block) => block).find((block) => !numbers.has(block));
  if (blocks > 0 && missing === undefined) return blocks;
  throw shapeError(file, blocks === 0 ? "it has no blocks.0" : `blocks.${missing} is missing`);
}

/** The shape of a matrix. Throws `CHECKPOINT_TENSORS` where it is missing or has another number of axes. */
function lengths(weights: StateDict, name: string, file: string): readonly [number, number] {
  const shape = weights.get(name)?.shape;
  if (shape === undefined) throw shapeError(file, `${name} is missing`);
  const [first, second] = shape;
  if (shape.length !== 2 || first === undefined || second === undefined)
    throw shapeError(file, `${name} is [${shape.join(", ")}] and should have 2 axes`);
  return [first, second];
}

/** `CHECKPOINT_TENSORS` for weights that are none of a denoiser of ranks. */
export function shapeError(file: string, problem: string): DdscError {
  return new DdscError(
    "CHECKPOINT_TENSORS",
    `${file}: its tensors are none of the published denoiser: ${quoted(problem)}`,
    { file },
  );
}
