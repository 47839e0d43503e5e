import { Purpose, RandomStream } from "../base/random.js";
import type { NativeNoise } from "../native/types.js";
import type { DiffusionConfig } from "./config.js";
import { lossWeight, type NoiseSchedule, noiseSchedule, sigmaOf } from "./schedule.js";

/** Noise of one batch of cells; everything is [cells]. */
export interface CellNoise {
  /** Time t of each cell, 0..1. */
  readonly time: Float64Array;
  /** Chance that a token of the cell is masked. */
  readonly moveChance: Float64Array;
  /** What the network and its loss need. */
  readonly noise: NativeNoise;
}

/** Names the random numbers of a batch, and the number of values R for mean matching. */
export interface DrawNoiseOptions {
  readonly seed: number;
  /** Optimizer step or validation batch: another step, other times. */
  readonly step: number;
  /** Number of values R of the token strategy. */
  readonly values: number;
  /** Place of the first cell among all of the step, of how many; default 0, of these. */
  readonly first?: number;
  readonly of?: number;
}

/**
 * Draws the noise of a batch, or of neighbours in it; `cells` are the cells' global indices, in batch order.
 *
 * With `antithetic`, u_i = (u + i / B) mod 1 with one u for the batch: evenly spread, and still uniform for each cell
 * (Kingma et al. 2021, "Variational diffusion models"); otherwise u_i is the cell's own. Then
 * t = minimumTime + (1 - minimumTime) u, and for d3pm t = floor(t T) / T + 1 / T.
 *
 * The loss estimate is the mean over t of weight(t) * loss(t). Its SUBS weight is d log m / dt for the move chance m, so
 * drawing log m uniformly in [f_0, f_1] (importance sampling and change of variables; Sahoo et al. 2024) leaves a
 * constant weight (f_1 - f_0) / (1 - minimumTime): the same expected loss, each cell counting alike.
 */
export function drawNoise(
  config: DiffusionConfig,
  cells: Float64Array,
  options: DrawNoiseOptions,
): CellNoise {
  const schedule = noiseSchedule(config.schedule);
  const range = logMoveChanceRange(config, schedule);
  const count = cells.length;
  const { first = 0, of = count } = options;
  const time = new Float64Array(count);
  const moveChance = new Float64Array(count);
  const conditioning = new Float32Array(count);
  const weight = new Float32Array(count);
  const sigma = new Float32Array(count);
  const meanWeight = config.meanMatching > 0 ? new Float32Array(count) : undefined;
  const shared = new RandomStream(options.seed, Purpose.time, options.step).uniform();
  for (let i = 0; i < count; i++) {
    const uniform = config.antithetic
      ? (shared + (first + i) / of) % 1
      : new RandomStream(options.seed, Purpose.time, options.step, cells[i] as number).uniform();
    const drawn = timeAndChance(config, schedule, range, uniform);
    const level = sigmaOf(drawn.moveChance);
    // The SUBS weight, made constant where log m was drawn uniformly.
    const uniformWeight = range === undefined ? lossWeight(schedule, drawn.time) : range.weight;
    time[i] = drawn.time;
    moveChance[i] = drawn.moveChance;
    sigma[i] = level;
    conditioning[i] = noiseConditioning(config, drawn.moveChance);
    weight[i] = objectiveWeight(config, schedule, drawn.time, uniformWeight);
    if (meanWeight !== undefined)
      meanWeight[i] = (config.meanMatching * uniformWeight) / (options.values - 1);
  }
  return {
    time,
    moveChance,
    noise: {
      conditioning,
      weight,
      sigma,
      time: Float32Array.from(time),
      ...(meanWeight === undefined ? {} : { meanWeight }),
    },
  };
}

/**
 * The noise level the network is given at a move chance: sigma, or with change of variables the place of log m between
 * its bounds, 0..1. Samplers use it to tell the network where they are.
 */
export function noiseConditioning(config: DiffusionConfig, moveChance: number): number {
  if (!config.changeOfVariables) return sigmaOf(moveChance);
  const { low, high } = boundsOfLogMoveChance(config, noiseSchedule(config.schedule));
  return Math.min(1, Math.max(0, (Math.log(moveChance) - low) / (high - low)));
}

/** Where log m is drawn uniformly: its bounds and the loss weight that goes with them. */
interface LogMoveChanceRange {
  readonly low: number;
  readonly high: number;
  readonly weight: number;
}

function boundsOfLogMoveChance(
  config: DiffusionConfig,
  schedule: NoiseSchedule,
): { low: number; high: number } {
  return { low: Math.log(schedule.moveChance(config.minimumTime)), high: Math.log(schedule.moveChance(1)) };
}

function logMoveChanceRange(
  config: DiffusionConfig,
  schedule: NoiseSchedule,
): LogMoveChanceRange | undefined {
  if (!config.importanceSampling && !config.changeOfVariables) return undefined;
  const { low, high } = boundsOfLogMoveChance(config, schedule);
  return { low, high, weight: (high - low) / (1 - config.minimumTime) };
}

/** The time and move chance for a uniform number in [0, 1). */
function timeAndChance(
  config: DiffusionConfig,
  schedule: NoiseSchedule,
  range: LogMoveChanceRange | undefined,
  uniform: number,
): { time: number; moveChance: number } {
  if (range !== undefined) {
    const moveChance = Math.exp(range.low + uniform * (range.high - range.low));
    return { time: config.changeOfVariables ? uniform : schedule.timeOf(moveChance), moveChance };
  }
  const continuous = config.minimumTime + (1 - config.minimumTime) * uniform;
  const { objective } = config;
  const time =
    objective.kind === "d3pm" ? (Math.floor(continuous * objective.steps) + 1) / objective.steps : continuous;
  return { time, moveChance: schedule.moveChance(time) };
}

/** Factor on the objective's per-token loss (see CellNoise in native/ops/ops.h). */
function objectiveWeight(
  config: DiffusionConfig,
  schedule: NoiseSchedule,
  time: number,
  uniformWeight: number,
): number {
  switch (config.objective.kind) {
    case "subs":
      return uniformWeight;
    case "sedd":
      // sigma', times what importance sampling changed the SUBS weight by.
      return (schedule.rate(time) * uniformWeight) / lossWeight(schedule, time);
    case "d3pm":
      return 1;
  }
}
