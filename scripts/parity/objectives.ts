import { objectiveLoss } from "../../lib/native/denoiser.js";
import type { NativeObjective, NativeObjectiveInput } from "../../lib/native/types.js";
import { Comparisons } from "./compare.js";
import { type Fixture, notAFixture } from "./fixture.js";

/** Values and gradients of each objective from given logits. */
export async function compareObjectives(fixture: Fixture, device: string) {
  const [cells, length, vocabSize] = fixture.shape("in.logits", 3) as readonly [number, number, number];
  const steps = Number(fixture.metadata.T);
  if (!(steps >= 2)) throw notAFixture(fixture.file, "its metadata holds no T");
  const size = cells * length;
  const logits = await fixture.floats("in.logits");
  const target = await fixture.integers("in.x0", size);
  const noisy = await fixture.integers("in.xt", size);
  const sigma = await fixture.floats("in.sigma", cells);
  const rate = await fixture.floats("in.dsigma", cells);
  const time = await fixture.floats("in.t", cells);
  const rows = Int32Array.from(noisy.keys()).filter((token) => noisy[token] === vocabSize - 1);
  const shared = {
    logits: gatherRows(logits, rows, vocabSize),
    vocabSize,
    target: rows.map((row) => target[row] as number),
    cell: rows.map((row) => Math.floor(row / length)),
  };
  const ones = new Float32Array(cells).fill(1);
  const none = new Float32Array(cells);
  const nelboWeight = sigma.map((level, cell) => (rate[cell] as number) / Math.expm1(level));
  const cases: readonly [string, NativeObjective, Partial<NativeObjectiveInput["noise"]>][] = [
    ["subs", { kind: "subs" }, { weight: nelboWeight }],
    ["d3pm", { kind: "d3pm", steps }, { weight: ones }],
    ["sedd", { kind: "sedd" }, { weight: rate }],
    ["mean_matching", { kind: "subs" }, { weight: none, meanWeight: ones }],
  ];
  const comparisons = new Comparisons("fp32");
  for (const [name, objective, noise] of cases) {
    const result = await objectiveLoss({
      ...shared,
      device,
      objective,
      noise: { weight: ones, sigma, time, ...noise },
    });
    const perToken = result.loss.map((loss, row) => loss + (result.meanLoss[row] as number));
    const [value, gradient] = [new Float32Array(size), new Float32Array(size * vocabSize)];
    for (const [i, row] of rows.entries()) {
      value[row] = perToken[i] as number;
      gradient.set(result.gradient.subarray(i * vocabSize, (i + 1) * vocabSize), row * vocabSize);
    }
    comparisons.add(`out.${name}`, "output", value, await fixture.floats(`out.${name}`, size));
    comparisons.add(
      `grad.${name}`,
      "gradient",
      gradient,
      await fixture.floats(`grad.${name}`, gradient.length),
    );
  }
  return { device, tensors: comparisons.list };
}

function gatherRows(values: Float32Array, rows: Int32Array, width: number): Float32Array {
  const out = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    out.set(values.subarray(row * width, (row + 1) * width), i * width);
  });
  return out;
}
