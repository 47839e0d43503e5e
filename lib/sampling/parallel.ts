import { noiseSchedule } from "../diffusion/index.js";
import type { DenoisingModel } from "./denoising_model.js";
import { type DrawnCell, drawCells } from "./network.js";
import type { CheckedSampling } from "./options.js";
import type { SamplingState } from "./state.js";

/** So that 0.2 of 10 tokens are 2. */
const ROUNDING = 1e-9;

/**
 * Confidence-ordered parallel decoding: each step draws every masked token of a cell and keeps those whose drawn value is
 * most probable, as many as the schedule says but at least one. Yields after each step.
 */
export async function* parallel(
  model: DenoisingModel,
  state: SamplingState,
  options: CheckedSampling,
  sampler: { readonly steps: number; readonly schedule?: "cosine" | "linear" },
): AsyncGenerator<void> {
  const schedule = noiseSchedule(model.diffusion.schedule);
  const start = state.maskedCounts();
  const { steps } = sampler;
  for (let step = 0; step < steps; step++) {
    const unfinished = state.unfinished();
    if (unfinished.length === 0) return;
    const draws = unfinished.map((place) => {
      const rows = state.masked(place);
      const share = rows.length / (start[place] as number);
      return { place, rows, moveChance: share * schedule.moveChance(1), reveal: 1, stay: 0 };
    });
    const left = shareLeft(sampler.schedule ?? "cosine", (steps - step - 1) / steps);
    for (const drawn of await drawCells(model, state, draws, "subs", step, options)) {
      const { place, rows } = drawn;
      const masked = Math.min(rows.length - 1, Math.floor(left * (start[place] as number) + ROUNDING));
      keepMostProbable(state, drawn, rows.length - masked);
      state.time[place] = schedule.timeOf((masked / (start[place] as number)) * schedule.moveChance(1));
    }
    yield;
  }
}

/** Share of a cell's tokens that stays masked when a part `ahead` (0..1) of the steps is still to come. */
function shareLeft(schedule: "cosine" | "linear", ahead: number): number {
  return schedule === "linear" ? ahead : Math.sin((Math.PI / 2) * ahead);
}

function keepMostProbable(state: SamplingState, drawn: DrawnCell, count: number): void {
  const { place, rows, tokens, probability } = drawn;
  const order = [...rows.keys()].sort(
    (a, b) => (probability[b] as number) - (probability[a] as number) || a - b,
  );
  const kept = Int32Array.from(order.slice(0, count)).sort();
  state.fill(
    place,
    kept.map((i) => rows[i] as number),
    kept.map((i) => tokens[i] as number),
  );
}
