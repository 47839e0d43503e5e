import { checkChoice, checkNumber, checkWhole, DdscError } from "../base/errors.js";

/** How the learning rate runs over a training. */
export type LearningRateSchedule =
  /** Linear from 0 over `warmup` steps, then constant. */
  | { readonly kind: "constant"; readonly warmup: number }
  /** Linear from 0 over `warmup` steps, then half a cosine down to `final` times the rate at the last step. */
  | { readonly kind: "cosine"; readonly warmup: number; readonly final: number };

/** The same with what may be left to the defaults; see `resolveSchedule`. */
export type LearningRateOption =
  | { readonly kind: "constant"; readonly warmup?: number }
  | { readonly kind: "cosine"; readonly warmup?: number; readonly final?: number };

/** The published warm-up, steps. */
export const PUBLISHED_WARMUP = 2500;
/** Share of a short run that is warm-up. */
const WARMUP_SHARE = 0.1;
/** Where the cosine ends, as a factor on the learning rate. */
const COSINE_FINAL = 0.05;

/**
 * Fills in defaults: a run of known length decays by a cosine, one without end stays constant; warm-up takes 2,500
 * steps, or a tenth of a run that is too short for that. Throws `ARGUMENT_RANGE`, `ARGUMENT_CHOICE`, and
 * `SCHEDULE_NEEDS_STEPS` for a cosine without `steps`.
 */
export function resolveSchedule(
  option: LearningRateOption | undefined,
  steps: number | undefined,
): LearningRateSchedule {
  const { kind, warmup } = option ?? { kind: steps === undefined ? "constant" : "cosine", warmup: undefined };
  checkChoice("schedule.kind", kind, ["constant", "cosine"]);
  const share = steps === undefined ? PUBLISHED_WARMUP : Math.ceil(steps * WARMUP_SHARE);
  const resolved = checkWhole("schedule.warmup", warmup ?? Math.min(PUBLISHED_WARMUP, share), 0, 1e9);
  if (kind === "constant") return { kind, warmup: resolved };
  if (steps === undefined) {
    throw new DdscError(
      "SCHEDULE_NEEDS_STEPS",
      "a cosine schedule needs the number of steps; pass steps, or use constant",
      {
        argument: "steps",
      },
    );
  }
  const final = option?.kind === "cosine" ? option.final : undefined;
  return {
    kind,
    warmup: resolved,
    final: checkNumber("schedule.final", final ?? COSINE_FINAL, { min: 0, max: 1 }),
  };
}

/**
 * Factor on the learning rate at a step (from 1) of a run of `steps` (needed by the cosine; beyond it the factor
 * stays at the last).
 */
export function learningRateFactor(
  schedule: LearningRateSchedule,
  step: number,
  steps = Number.POSITIVE_INFINITY,
): number {
  const { warmup } = schedule;
  if (step <= warmup) return step / warmup;
  if (schedule.kind === "constant") return 1;
  const done = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return schedule.final + (1 - schedule.final) * 0.5 * (1 + Math.cos(Math.PI * done));
}
