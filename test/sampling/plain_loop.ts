import { Purpose, RandomStream } from "../../lib/base/random.js";
import { noiseConditioning, noiseSchedule, sigmaOf } from "../../lib/diffusion/index.js";
import type { NativeObjective } from "../../lib/native/types.js";
import { type DenoisingModel, maskToken, type SamplerConfig } from "../../lib/sampling/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";

/** What one step does to one cell. */
interface CellStep {
  /** Share of tokens masked at the noise level the network is told. */
  readonly told: number;
  readonly reveal: number;
  readonly stay: number;
  /** Which of the drawn rows to keep: those that get their token. */
  readonly keep: (rows: readonly number[], probability: readonly number[]) => readonly number[];
}

/**
 * The samplers written down once more without any saving: at every step the network runs for every cell, finished or not,
 * and answers for every masked token. Returns the tokens after each step.
 */
export async function plainLoop(
  model: DenoisingModel,
  batch: RaggedBatch,
  sampler: SamplerConfig,
  seed: number,
): Promise<Int32Array[]> {
  const mask = maskToken(model);
  const tokens = batch.tokens.slice();
  const cells = [...batch.cells.keys()];
  const rowsOf = (place: number) => {
    const all = Array.from(
      { length: batch.offsets[place + 1]! - batch.offsets[place]! },
      (_, i) => batch.offsets[place]! + i,
    );
    return all.filter((row) => tokens[row] === mask);
  };
  const start = cells.map((place) => rowsOf(place).length);
  const hits = cells.map(() => noiseSchedule(model.diffusion.schedule).moveChance(1));
  const states: Int32Array[] = [];
  const steps = "steps" in sampler && sampler.steps !== undefined ? sampler.steps : Math.max(...start);
  for (let step = 0; step < steps && tokens.includes(mask); step++) {
    const plans = cells.map((place) =>
      planOf(
        model,
        sampler,
        { step, seed, cell: batch.cells[place]!, rows: rowsOf(place), start: start[place]! },
        hits,
        place,
      ),
    );
    using prediction = await model.native.predict(
      { ...batch, tokens },
      {
        conditioning: Float32Array.from(plans, ({ told }) => noiseConditioning(model.diffusion, told)),
        rows: Int32Array.from(cells.flatMap(rowsOf)),
      },
    );
    const { tokens: drawn, probability } = await prediction.draw({
      objective: objectiveOf(model, sampler, step === steps - 1),
      reveal: Float32Array.from(plans, ({ reveal }) => reveal),
      stay: Float32Array.from(plans, ({ stay }) => stay),
      sigma: Float32Array.from(plans, ({ told }) => sigmaOf(told)),
      temperature: 1,
      seed,
      step,
    });
    let first = 0;
    for (const [place, { keep }] of plans.entries()) {
      const rows = rowsOf(place);
      const kept = new Set(keep(rows, [...probability.subarray(first, first + rows.length)]));
      for (const [i, row] of rows.entries()) if (kept.has(row)) tokens[row] = drawn[first + i]!;
      first += rows.length;
    }
    states.push(tokens.slice());
  }
  return states;
}

function objectiveOf(model: DenoisingModel, sampler: SamplerConfig, last: boolean): NativeObjective["kind"] {
  const { kind } = model.diffusion.objective;
  if (sampler.kind === "first-hitting" || sampler.kind === "parallel") return "subs";
  if (kind !== "sedd") return kind;
  return sampler.kind === "analytic" && !last ? "sedd" : "subs";
}

interface At {
  readonly step: number;
  readonly seed: number;
  readonly cell: number;
  readonly rows: readonly number[];
  readonly start: number;
}

function planOf(
  model: DenoisingModel,
  sampler: SamplerConfig,
  at: At,
  hits: number[],
  place: number,
): CellStep {
  const schedule = noiseSchedule(model.diffusion.schedule);
  const { step, rows, start } = at;
  const all = () => rows;
  if (rows.length === 0) return { told: schedule.moveChance(1), reveal: 1, stay: 0, keep: all };
  if (sampler.kind === "parallel") {
    const share = rows.length / start;
    const left = leftOf(sampler.schedule, step, sampler.steps, start, rows.length);
    return {
      told: share * schedule.moveChance(1),
      reveal: 1,
      stay: 0,
      keep: (_, probability) =>
        rows
          .map((row, i) => ({ row, i }))
          .sort((a, b) => probability[b.i]! - probability[a.i]! || a.i - b.i)
          .slice(0, rows.length - left)
          .map(({ row }) => row),
    };
  }
  if (sampler.kind === "first-hitting") {
    const { steps } = sampler;
    const left =
      steps === undefined || steps >= start
        ? rows.length - 1
        : leftOf(sampler.schedule, step, steps, start, rows.length);
    const stream = new RandomStream(at.seed, Purpose.reveal, step, at.cell);
    const order = [...rows];
    let told = hits[place]!;
    for (let i = 0; i < rows.length - left; i++) {
      hits[place]! *= (1 - stream.uniform()) ** (1 / (rows.length - i));
      if (i === 0) told = hits[place]!;
      const chosen = i + stream.below(rows.length - i);
      [order[i], order[chosen]] = [order[chosen]!, order[i]!];
    }
    const kept = order.slice(0, Math.max(0, rows.length - left));
    return { told: Math.max(told, schedule.moveChance(0)), reveal: 1, stay: 0, keep: () => kept };
  }
  const { steps } = sampler;
  const told = schedule.moveChance((steps - step) / steps);
  const to = (steps - step - 1) / steps;
  const stay = to > 0 ? schedule.moveChance(to) : 0;
  if (sampler.kind === "analytic" && model.diffusion.objective.kind === "sedd") {
    const reveal = to > 0 ? Math.expm1(sigmaOf(told) - schedule.sigma(to)) : 1;
    return { told, reveal, stay: 0, keep: all };
  }
  return { told, reveal: told - stay, stay, keep: all };
}

function leftOf(
  schedule: "cosine" | "linear" | undefined,
  step: number,
  steps: number,
  start: number,
  masked: number,
): number {
  const done = (step + 1) / steps;
  const share = schedule === "linear" ? 1 - done : Math.cos((Math.PI / 2) * done);
  return Math.max(0, Math.min(masked - 1, Math.floor(share * start + 1e-9)));
}
