import { noiseSchedule } from "../diffusion/index.js";
import type { DenoisingModel } from "./denoising_model.js";
import type { DrawnCell, SamplingNetwork } from "./sampling_network.js";
import type { SamplingState } from "./state.js";
import { maskedAfter, type UnmaskingSchedule } from "./unmasking.js";

/**
 * Confidence-ordered parallel decoding: each step draws every masked token of a cell and keeps those whose drawn value is
 * most probable, as many as the schedule says but at least one. Yields after each step.
 */
export async function* parallel(
  model: DenoisingModel,
  state: SamplingState,
  network: SamplingNetwork,
  sampler: { readonly steps: number; readonly schedule?: UnmaskingSchedule },
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
    for (const drawn of await network.draw(draws, "subs", step)) {
      const { place, rows } = drawn;
      const total = start[place] as number;
      const masked = maskedAfter(sampler.schedule ?? "cosine", {
        step,
        steps,
        start: total,
        masked: rows.length,
      });
      keepMostProbable(state, drawn, rows.length - masked);
      state.time[place] = schedule.timeOf((masked / total) * schedule.moveChance(1));
    }
    yield;
  }
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
