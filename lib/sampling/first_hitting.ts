import { Purpose, RandomStream } from "../base/random.js";
import { noiseSchedule } from "../diffusion/index.js";
import type { DenoisingModel } from "./denoising_model.js";
import type { CheckedSampling } from "./options.js";
import type { CellDraw, SamplingNetwork } from "./sampling_network.js";
import type { SamplingState } from "./state.js";
import { maskedAfter, type UnmaskingSchedule } from "./unmasking.js";

/**
 * First-hitting sampling. With n tokens masked at move chance m, each is still masked at m' < m with chance m' / m
 * independently, so the first reveal happens at m u^(1/n), u uniform, whatever the schedule, and at any of the n tokens alike.
 * With fewer steps than tokens, the tokens of several reveals are drawn from what the network says at the first of them.
 * Yields after each step of all cells.
 */
export async function* firstHitting(
  model: DenoisingModel,
  state: SamplingState,
  network: SamplingNetwork,
  options: CheckedSampling,
  sampler: { readonly steps?: number; readonly schedule?: UnmaskingSchedule },
): AsyncGenerator<void> {
  const schedule = noiseSchedule(model.diffusion.schedule);
  const moveChance = new Float64Array(state.batch.cells.length).fill(schedule.moveChance(1));
  const start = state.maskedCounts();
  for (let step = 0; ; step++) {
    const unfinished = state.unfinished();
    if (unfinished.length === 0) return;
    const draws: CellDraw[] = [];
    for (const place of unfinished) {
      const stream = new RandomStream(options.seed, Purpose.reveal, step, state.batch.cells[place] as number);
      const masked = state.masked(place).slice();
      const count = masked.length - leftMasked(sampler, step, start[place] as number, masked.length);
      let chance = moveChance[place] as number;
      let firstChance = chance;
      for (let i = 0; i < count; i++) {
        const left = masked.length - i;
        chance *= (1 - stream.uniform()) ** (1 / left);
        if (i === 0) firstChance = chance;
        const chosen = i + stream.below(left);
        const row = masked[chosen] as number;
        masked[chosen] = masked[i] as number;
        masked[i] = row;
      }
      moveChance[place] = chance;
      state.time[place] = schedule.timeOf(chance);
      const rows = masked.slice(0, count).sort();
      draws.push({
        place,
        rows,
        moveChance: within(firstChance, schedule.moveChance(0)),
        reveal: 1,
        stay: 0,
      });
    }
    for (const { place, rows, tokens } of await network.draw(draws, "subs", step)) {
      state.fill(place, rows, tokens);
    }
    yield;
  }
}

/** Tokens of a cell that a step leaves masked: all but one where there are as many steps as tokens. */
function leftMasked(
  { steps, schedule }: { readonly steps?: number; readonly schedule?: UnmaskingSchedule },
  step: number,
  start: number,
  masked: number,
): number {
  if (steps === undefined || steps >= start) return masked - 1;
  return maskedAfter(schedule ?? "cosine", { step, steps, start, masked });
}

/** No network has seen less noise than the schedule's least (linear and geometric ones start above zero). */
function within(moveChance: number, least: number): number {
  return Math.max(moveChance, least);
}
