import { Purpose, RandomStream } from "../base/random.js";
import { type NoiseSchedule, noiseSchedule, sigmaOf } from "../diffusion/index.js";
import type { NativeObjective } from "../native/types.js";
import type { DenoisingModel } from "./denoising_model.js";
import type { CheckedSampling } from "./options.js";
import type { CellDraw, SamplingNetwork } from "./sampling_network.js";
import type { SamplingState } from "./state.js";

/** What one step from t to s draws with, for every cell. */
interface Update {
  readonly objective: NativeObjective["kind"];
  readonly moveChance: number;
  readonly reveal: number;
  readonly stay: number;
}

/**
 * The reverse process in equal steps of time: ancestral, cached ancestral and analytic. The last step reveals everything
 * that is still masked. Yields after each step.
 *
 * Where the chance to reveal a token is known from the schedule, so is, before the network runs, which tokens a step may
 * reveal; only cells with such a token are asked about, and only those tokens.
 */
export async function* stepwise(
  model: DenoisingModel,
  state: SamplingState,
  network: SamplingNetwork,
  options: CheckedSampling,
  sampler: { readonly kind: "ancestral" | "cached-ancestral" | "analytic"; readonly steps: number },
): AsyncGenerator<void> {
  const schedule = noiseSchedule(model.diffusion.schedule);
  const { steps } = sampler;
  const { kind: objective } = model.diffusion.objective;
  const byScore = sampler.kind === "analytic" && objective === "sedd";
  // A d3pm step may leave a cell as it was; what the network said of all its tokens then serves the next one.
  const askAll = objective === "d3pm" && !model.config.timeConditioning;
  for (let step = 0; step < steps; step++) {
    const unfinished = state.unfinished();
    if (unfinished.length === 0) return;
    const from = (steps - step) / steps;
    const to = (steps - step - 1) / steps;
    const update = byScore ? scoreUpdate(schedule, from, to) : ancestralUpdate(model, schedule, from, to);
    const draws: CellDraw[] = [];
    for (const place of unfinished) {
      const masked = state.masked(place);
      const rows = byScore ? masked : mayBeRevealed(state, place, masked, update, options.seed, step);
      if (rows.length > 0) draws.push({ place, rows, ...(askAll ? { ask: masked } : {}), ...update });
    }
    for (const { place, rows, tokens } of await network.draw(draws, update.objective, step)) {
      state.fill(place, rows, tokens);
    }
    state.time.fill(to);
    yield;
  }
}

/** q(x_s | x_t, x0): values with weight m(t) - m(s), the mask with weight m(s). */
function ancestralUpdate(model: DenoisingModel, schedule: NoiseSchedule, from: number, to: number): Update {
  const { kind } = model.diffusion.objective;
  const moveChance = schedule.moveChance(from);
  const stay = to > 0 ? schedule.moveChance(to) : 0;
  // Scores of the values, normalised, are the softmax of their logits, as with subs.
  return { objective: kind === "sedd" ? "subs" : kind, moveChance, reveal: moveChance - stay, stay };
}

/**
 * The analytic update at a masked token: value k with chance (exp(d) - 1) s_k, d = sigma(t) - sigma(s), and the mask with
 * what is left. At the end the mask's share is dropped, which leaves the normalised scores.
 */
function scoreUpdate(schedule: NoiseSchedule, from: number, to: number): Update {
  const moveChance = schedule.moveChance(from);
  if (to === 0) return { objective: "subs", moveChance, reveal: 1, stay: 0 };
  // The native draw gives the mask 1 - reveal * sum of scores by itself.
  return {
    objective: "sedd",
    moveChance,
    reveal: Math.expm1(sigmaOf(moveChance) - schedule.sigma(to)),
    stay: 0,
  };
}

/** Covers the last bits in which the sum of a row's probabilities may exceed one. */
const ROUNDING = 1 + 1e-9;

/**
 * Rows that the draw of this step can reveal at all: it inverts the distribution function with the values first and the
 * mask last, so a uniform number above the values' greatest possible share means staying masked.
 */
function mayBeRevealed(
  state: SamplingState,
  place: number,
  masked: Int32Array,
  update: Update,
  seed: number,
  step: number,
): Int32Array {
  const stream = new RandomStream(seed, Purpose.draw, step, state.batch.cells[place] as number);
  const reveal = Math.fround(update.reveal);
  const share = (reveal / (reveal + Math.fround(update.stay))) * ROUNDING;
  const candidates: number[] = [];
  for (const row of masked) if (stream.uniformAt(state.position(place, row)) < share) candidates.push(row);
  return Int32Array.from(candidates);
}
