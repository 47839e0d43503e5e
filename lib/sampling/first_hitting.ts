import { noiseSchedule } from "../diffusion/index.js";
import { Purpose, RandomStream } from "../random.js";
import type { DenoisingModel } from "./denoising_model.js";
import { type CellDraw, drawCells } from "./network.js";
import type { CheckedSampling } from "./options.js";
import type { SamplingState } from "./state.js";

/**
 * First-hitting sampling. With n tokens masked at move chance m, each is still masked at m' < m with chance m' / m
 * independently, so the first reveal happens at m u^(1/n), u uniform, whatever the schedule, and at any of the n tokens alike.
 * Yields after each step of all cells.
 */
export async function* firstHitting(
  model: DenoisingModel,
  state: SamplingState,
  options: CheckedSampling,
  tokensPerStep: number,
): AsyncGenerator<void> {
  const schedule = noiseSchedule(model.diffusion.schedule);
  const moveChance = new Float64Array(state.batch.cells.length).fill(schedule.moveChance(1));
  for (let step = 0; ; step++) {
    const unfinished = state.unfinished();
    if (unfinished.length === 0) return;
    const draws: CellDraw[] = [];
    for (const place of unfinished) {
      const stream = new RandomStream(options.seed, Purpose.reveal, step, state.batch.cells[place] as number);
      const masked = state.masked(place).slice();
      const count = Math.min(tokensPerStep, masked.length);
      let chance = moveChance[place] as number;
      for (let i = 0; i < count; i++) {
        const left = masked.length - i;
        chance *= (1 - stream.uniform()) ** (1 / left);
        const chosen = i + stream.below(left);
        const row = masked[chosen] as number;
        masked[chosen] = masked[i] as number;
        masked[i] = row;
      }
      moveChance[place] = chance;
      state.time[place] = schedule.timeOf(chance);
      const rows = masked.slice(0, count).sort();
      draws.push({ place, rows, moveChance: within(chance, schedule.moveChance(0)), reveal: 1, stay: 0 });
    }
    for (const { place, rows, tokens } of await drawCells(model, state, draws, "subs", step, options)) {
      state.fill(place, rows, tokens);
    }
    yield;
  }
}

/** No network has seen less noise than the schedule's least (linear and geometric ones start above zero). */
function within(moveChance: number, least: number): number {
  return Math.max(moveChance, least);
}
