import { checkNumber, DdscError } from "../base/errors.js";

/**
 * Which noise schedule, and its constants. `eps` keeps the move chance at t = 1 below one (1 - eps); `min` and
 * `max` are the noise levels at t = 0 and t = 1.
 */
export type ScheduleConfig =
  /** sigma = -log(1 - (1 - eps) t): the move chance (1 - eps) t is linear. Default eps 1e-3. */
  | { readonly kind: "loglinear"; readonly eps?: number }
  /** sigma = min + t (max - min). Defaults 1e-3 and 7. */
  | { readonly kind: "linear"; readonly min?: number; readonly max?: number }
  /** sigma = min^(1 - t) max^t. Defaults 1e-3 and 7. */
  | { readonly kind: "geometric"; readonly min?: number; readonly max?: number }
  /** sigma = -log(eps + (1 - eps) cos(pi t / 2)). Default eps 1e-3. */
  | { readonly kind: "cosine"; readonly eps?: number }
  /** sigma = -log(eps + (1 - eps) cos^2(pi t / 2)). Default eps 1e-3. */
  | { readonly kind: "cosine-squared"; readonly eps?: number };

/** The kinds of `ScheduleConfig`. */
export const SCHEDULE_KINDS = ["loglinear", "linear", "geometric", "cosine", "cosine-squared"] as const;

/**
 * A noise schedule in float64: total noise sigma(t), rising with t in [0, 1]. A token is masked at time t with
 * the move chance 1 - exp(-sigma(t)).
 */
export interface NoiseSchedule {
  /** sigma(t). */
  sigma(time: number): number;
  /** sigma'(t). */
  rate(time: number): number;
  /** 1 - exp(-sigma(t)), accurate where sigma is small. */
  moveChance(time: number): number;
  /**
   * The time at which the move chance is `moveChance`: the inverse of `moveChance(t)`; 0 and 1 for chances below
   * and above those that the schedule reaches.
   */
  timeOf(moveChance: number): number;
}

const DEFAULT_EPS = 1e-3;
const DEFAULT_MIN = 1e-3;
const DEFAULT_MAX = 7;

/** The noise level sigma = -log(1 - m) of a move chance m. */
export function sigmaOf(moveChance: number): number {
  return -Math.log1p(-moveChance);
}

/** sigma' / expm1(sigma): the SUBS loss weight, which is d log(move chance) / dt. */
export function lossWeight(schedule: NoiseSchedule, time: number): number {
  return schedule.rate(time) / Math.expm1(schedule.sigma(time));
}

/** A schedule given by sigma and its inverse. */
function bySigma(
  sigma: (time: number) => number,
  rate: (time: number) => number,
  timeOfSigma: (sigma: number) => number,
): NoiseSchedule {
  const lowest = sigma(0);
  const highest = sigma(1);
  return {
    sigma,
    rate,
    moveChance: (time) => -Math.expm1(-sigma(time)),
    timeOf: (moveChance) => {
      const level = moveChance < 1 ? sigmaOf(moveChance) : Number.POSITIVE_INFINITY;
      return level <= lowest ? 0 : level >= highest ? 1 : timeOfSigma(level);
    },
  };
}

/** A schedule given by its move chance (1 - eps) share(t), with share rising from 0 to 1. */
function byShare(
  eps: number,
  share: (time: number) => number,
  shareRate: (time: number) => number,
  timeOfShare: (share: number) => number,
): NoiseSchedule {
  const moveChance = (time: number) => (1 - eps) * share(time);
  return {
    sigma: (time) => sigmaOf(moveChance(time)),
    rate: (time) => ((1 - eps) * shareRate(time)) / (1 - moveChance(time)),
    moveChance,
    timeOf: (chance) => Math.min(1, timeOfShare(Math.min(1, Math.max(0, chance / (1 - eps))))),
  };
}

/** The schedule that `config` names. Throws `ARGUMENT_RANGE` for constants out of range, `DIFFUSION_CONFIG` for an unknown kind. */
export function noiseSchedule(config: ScheduleConfig): NoiseSchedule {
  switch (config.kind) {
    case "loglinear":
      return byShare(
        checkEps(config.eps),
        (time) => time,
        () => 1,
        (share) => share,
      );
    case "cosine":
      // 1 - cos(pi t / 2), written as 2 sin^2 so that small times lose no digits.
      return byShare(
        checkEps(config.eps),
        (time) => 2 * Math.sin((Math.PI / 4) * time) ** 2,
        (time) => (Math.PI / 2) * Math.sin((Math.PI / 2) * time),
        (share) => (4 / Math.PI) * Math.asin(Math.sqrt(share / 2)),
      );
    case "cosine-squared":
      return byShare(
        checkEps(config.eps),
        (time) => Math.sin((Math.PI / 2) * time) ** 2,
        (time) => (Math.PI / 2) * Math.sin(Math.PI * time),
        (share) => (2 / Math.PI) * Math.asin(Math.sqrt(share)),
      );
    case "linear": {
      const { min, max } = checkBounds(config);
      return bySigma(
        (time) => min + time * (max - min),
        () => max - min,
        (sigma) => (sigma - min) / (max - min),
      );
    }
    case "geometric": {
      const { min, max } = checkBounds(config);
      const logarithm = Math.log(max / min);
      const sigma = (time: number) => min ** (1 - time) * max ** time;
      return bySigma(
        sigma,
        (time) => sigma(time) * logarithm,
        (level) => Math.log(level / min) / logarithm,
      );
    }
    default:
      throw new DdscError(
        "DIFFUSION_CONFIG",
        `expected one of ${SCHEDULE_KINDS.join(", ")} for schedule.kind but received ${String((config as { kind?: unknown }).kind)}`,
        { argument: "schedule.kind" },
      );
  }
}

function checkEps(eps: number = DEFAULT_EPS): number {
  return checkNumber("schedule.eps", eps, { min: 1e-9, max: 0.5 });
}

function checkBounds({
  min = DEFAULT_MIN,
  max = DEFAULT_MAX,
}: {
  readonly min?: number;
  readonly max?: number;
}): {
  min: number;
  max: number;
} {
  checkNumber("schedule.min", min, { min: 1e-9, max: 100 });
  checkNumber("schedule.max", max, { min: 1e-9, max: 100 });
  if (max > min) return { min, max };
  throw new DdscError("DIFFUSION_CONFIG", `schedule.max (${max}) must be above schedule.min (${min})`, {
    argument: "schedule.max",
  });
}
