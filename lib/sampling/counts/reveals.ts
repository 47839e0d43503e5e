import { Purpose, RandomStream } from "../../base/random.js";
import { maskedAfter } from "../unmasking.js";
import type { CountSamplerConfig } from "./options.js";
import type { CountState } from "./state.js";

/** What a step does to a cell: places to reveal, and drawn ones to hide again before; both ascending. */
export interface Reveals {
  readonly reveal: Int32Array;
  readonly hide?: Int32Array;
}

/** Says what each step does to a cell, before the network runs. Steps count up from 0. */
export type RevealPlan = (step: number) => Reveals;

const NOTHING = { reveal: new Int32Array(0) };
const DEFAULT_ETA = 0.2;

/** Steps that a sampler takes at most for cells with so many hidden genes. */
export function stepsOf(sampler: CountSamplerConfig, hidden: number): number {
  return sampler.kind === "first-hitting" ? Math.min(sampler.steps ?? hidden, hidden) : sampler.steps;
}

/**
 * The plan for a cell. Its random numbers are of the stream (seed, `Purpose.reveal`, step, cell): which genes are revealed when
 * does not depend on other cells, and not on what is drawn.
 */
export function revealPlan(
  sampler: CountSamplerConfig,
  state: CountState,
  cell: number,
  seed: number,
): RevealPlan {
  const index = state.cells[cell] ?? 0;
  switch (sampler.kind) {
    case "first-hitting":
    case "parallel": {
      const order = new RandomStream(seed, Purpose.reveal, 0, index).shuffle(state.hiddenPlaces(cell));
      const start = order.length;
      const steps = stepsOf(sampler, start);
      const schedule = sampler.schedule ?? "cosine";
      return (step) => {
        const masked = state.hidden(cell);
        if (masked === 0) return NOTHING;
        const left = steps >= start ? masked - 1 : maskedAfter(schedule, { step, steps, start, masked });
        return { reveal: order.slice(start - masked, start - left).sort() };
      };
    }
    case "ancestral": {
      // The time at which a gene is revealed is uniform.
      const stream = new RandomStream(seed, Purpose.reveal, 0, index);
      const times = new Map(
        Array.from(state.hiddenPlaces(cell), (place) => [place, stream.uniformAt(place)]),
      );
      return (step) => {
        const until = (sampler.steps - step - 1) / sampler.steps;
        return { reveal: state.hiddenPlaces(cell).filter((place) => (times.get(place) ?? 1) >= until) };
      };
    }
    case "remasking":
      return (step) =>
        remasking(sampler, state, cell, new RandomStream(seed, Purpose.reveal, step, index), step);
  }
}

/** From time t to s, with the share alpha = 1 - t revealed; ReMDM-rescale, see `CountSamplerConfig`. */
function remasking(
  { steps, eta = DEFAULT_ETA }: Extract<CountSamplerConfig, { kind: "remasking" }>,
  state: CountState,
  cell: number,
  stream: RandomStream,
  step: number,
): Reveals {
  const [alpha, next] = [step / steps, (step + 1) / steps];
  const hideChance = alpha > 0 ? eta * Math.min(1, (1 - next) / alpha) : 0;
  const revealChance = (next - (1 - hideChance) * alpha) / (1 - alpha);
  const hidden = state.hiddenPlaces(cell);
  const isLast = step === steps - 1;
  return {
    reveal: isLast ? hidden : hidden.filter((place) => stream.uniformAt(place) < revealChance),
    hide: state.drawnPlaces(cell).filter((place) => stream.uniformAt(place) < hideChance),
  };
}
