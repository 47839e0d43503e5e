import { isDeepStrictEqual } from "node:util";
import { checkChoice, checkNumber, checkWhole, DdscError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import type { NativeObjective } from "../native/types.js";
import { noiseSchedule, SCHEDULE_KINDS, type ScheduleConfig } from "./schedule.js";

/**
 * What the denoiser is trained for; plain JSON, saved with the model.
 *
 * - objective `subs` (default): continuous-time NELBO with zero mask mass and carry-over (Sahoo et al. 2024);
 *   `d3pm`: the discrete bound over `steps` steps (Austin et al. 2021); `sedd`: score entropy (Lou et al. 2024).
 * - schedule: how much noise at which time; default log-linear.
 */
export interface DiffusionConfig {
  readonly objective: NativeObjective;
  readonly schedule: ScheduleConfig;
  /** Times of a batch evenly spread over (0, 1) from one random start, instead of independent. Default true. */
  readonly antithetic: boolean;
  /** Draw t where the loss weighs most, so that every cell counts alike; not with d3pm. Default false. */
  readonly importanceSampling: boolean;
  /**
   * Let the logarithm of the move chance run linearly with t instead of the schedule; the network then sees t in
   * place of sigma. Only with subs, and not together with importance sampling. Default false.
   */
  readonly changeOfVariables: boolean;
  /** Factor on the mean matching loss |E[rank] - rank| / (R - 1); 0: none. Default 0. */
  readonly meanMatching: number;
  /** Smallest time that is drawn. Default 1e-3. */
  readonly minimumTime: number;
}

/** The defaults of `DiffusionConfig`. */
export const defaultDiffusion: DiffusionConfig = Object.freeze<DiffusionConfig>({
  objective: { kind: "subs" },
  schedule: { kind: "loglinear" },
  antithetic: true,
  importanceSampling: false,
  changeOfVariables: false,
  meanMatching: 0,
  minimumTime: 1e-3,
});

const OBJECTIVE_KINDS = ["subs", "d3pm", "sedd"] as const;

/**
 * Returns `config` where it makes sense; throws `ARGUMENT_RANGE` or `ARGUMENT_CHOICE` for a value out of range and
 * `DIFFUSION_CONFIG` for a combination that has no meaning.
 */
export function checkDiffusion(config: DiffusionConfig): DiffusionConfig {
  const { objective, schedule, importanceSampling, changeOfVariables } = config;
  checkChoice("objective.kind", objective.kind, OBJECTIVE_KINDS);
  checkChoice("schedule.kind", schedule.kind, SCHEDULE_KINDS);
  noiseSchedule(schedule);
  for (const name of ["antithetic", "importanceSampling", "changeOfVariables"] as const) {
    if (typeof config[name] !== "boolean")
      refuse(name, `expected true or false for ${name} but received ${String(config[name])}`);
  }
  checkNumber("meanMatching", config.meanMatching, { min: 0, max: 1e6 });
  checkNumber("minimumTime", config.minimumTime, { min: 1e-6, max: 0.5 });
  if (objective.kind === "d3pm") {
    checkWhole("objective.steps", objective.steps, 2, 1e6);
    if (schedule.kind !== "loglinear") {
      refuse(
        "schedule.kind",
        `the d3pm objective is defined for the loglinear schedule, not ${schedule.kind}; use loglinear, or the subs objective`,
      );
    }
  }
  if (importanceSampling && objective.kind === "d3pm") {
    refuse(
      "importanceSampling",
      "importance sampling of t needs continuous time; turn it off, or use the subs or sedd objective",
    );
  }
  if (changeOfVariables && objective.kind !== "subs") {
    refuse(
      "changeOfVariables",
      `change of variables is defined for the subs objective, not ${objective.kind}; turn it off, or use subs`,
    );
  }
  if (changeOfVariables && importanceSampling) {
    refuse(
      "changeOfVariables",
      "change of variables and importance sampling do the same for the loss; turn one of them off",
    );
  }
  return config;
}

/**
 * The configuration that JSON (or an options object) describes, defaults filled in. Throws as `checkDiffusion`, and
 * `DIFFUSION_CONFIG` for anything that is not an object and for a field of another name.
 */
export function diffusionFrom(json: unknown): DiffusionConfig {
  if (!isObject(json))
    refuse(
      "diffusion",
      "the diffusion configuration is not an object; was the model's file changed by hand?",
    );
  const unknown = Object.keys(json).find((key) => !(key in defaultDiffusion));
  if (unknown !== undefined) {
    refuse(
      unknown,
      `the diffusion configuration has no field ${unknown}; it has ${Object.keys(defaultDiffusion).join(", ")}`,
    );
  }
  const config = { ...defaultDiffusion, ...json };
  for (const name of ["objective", "schedule"] as const) {
    if (!isObject(config[name]))
      refuse(name, `expected an object with a kind for ${name} but received ${String(config[name])}`);
  }
  return checkDiffusion(config);
}

/**
 * Returns `config` where a model of counts can have it: the default. Its bound needs neither a noise schedule nor times. Throws
 * `DIFFUSION_CONFIG` for what belongs to models of ranks.
 */
export function requireCountDiffusion(config: DiffusionConfig): DiffusionConfig {
  const names: Readonly<Record<keyof DiffusionConfig, string>> = {
    objective: `the ${config.objective.kind} objective`,
    schedule: `the ${config.schedule.kind} noise schedule`,
    antithetic: "independent times",
    importanceSampling: "importance sampling of times",
    changeOfVariables: "the change of variables",
    meanMatching: "mean matching",
    minimumTime: "a smallest time",
  };
  for (const [field, name] of Object.entries(names) as [keyof DiffusionConfig, string][]) {
    if (isDeepStrictEqual(config[field], defaultDiffusion[field])) continue;
    refuse(
      field,
      `${name} belongs to models of ranks: a model of counts learns the any-order bound; leave it out, or make a model of ranks (--values ranks)`,
    );
  }
  return config;
}

function refuse(argument: string, message: string): never {
  throw new DdscError("DIFFUSION_CONFIG", message, { argument });
}
