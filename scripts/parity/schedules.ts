import { noiseSchedule, type ScheduleConfig } from "../../lib/diffusion/schedule.js";
import { Comparisons } from "./compare.js";
import type { Fixture } from "./fixture.js";

/** The reference's names of the noise schedules. */
const KINDS: readonly (readonly [string, ScheduleConfig["kind"]])[] = [
  ["loglinear", "loglinear"],
  ["linear", "linear"],
  ["geometric", "geometric"],
  ["cosine", "cosine"],
  ["cosinesqr", "cosine-squared"],
];

/** Total noise and its rate, of the five schedules. */
export async function compareSchedules(fixture: Fixture) {
  const time = Float64Array.from(await fixture.floats("in.t"));
  const comparisons = new Comparisons("fp32");
  for (const [name, kind] of KINDS) {
    const schedule = noiseSchedule({ kind });
    const [sigma, rate] = [`out.${name}.sigma`, `out.${name}.dsigma`];
    const theirs = {
      sigma: await fixture.floats(sigma, time.length),
      rate: await fixture.floats(rate, time.length),
    };
    comparisons.add(
      sigma,
      "output",
      time.map((t) => schedule.sigma(t)),
      theirs.sigma,
    );
    comparisons.add(
      rate,
      "output",
      time.map((t) => schedule.rate(t)),
      theirs.rate,
    );
  }
  return { device: "cpu", tensors: comparisons.list };
}
