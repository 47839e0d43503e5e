import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selectCells } from "../../lib/batching/collate.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import type { NativeDrawOptions } from "../../lib/native/types.js";
import { inpaint, maskToken, type SamplerConfig, sample } from "../../lib/sampling/index.js";
import { disagreement, misfit } from "../statistics.js";
import { drawOracle, type OracleRow } from "./draw_oracle.js";
import { halfMasked, randomModel } from "./random_model.js";

describe("a native draw", () => {
  let model: Denoiser;
  beforeAll(async () => {
    model = await randomModel(8);
  });
  afterAll(() => model[Symbol.dispose]());

  it("is as frequent as it is probable, down to 1e-4", async () => {
    const probabilities = [0.5, 0.3, 0.15, 0.04, 0.009, 0.0008, 0.0001, 0.0001];
    using fixed = await randomModel(8);
    const zeros = new Float64Array(model.config.hidden * model.config.vocabSize);
    await fixed.writeParameter("output_layer.linear.weight", Float32Array.from(zeros));
    const bias = [0, 0, ...probabilities.map(Math.log), 5];
    await fixed.writeParameter("output_layer.linear.bias", Float32Array.from(bias));
    const batch = halfMasked(fixed, new Array<number>(100).fill(160));
    using prediction = await fixed.native.predict(batch, { conditioning: new Float32Array(100) });
    const counts = new Array<number>(9).fill(0);
    const stay = 1 / 3;
    for (let step = 0; step < 500; step++) {
      const { tokens } = await prediction.draw({
        objective: "subs",
        reveal: new Float32Array(100).fill(1),
        stay: new Float32Array(100).fill(stay),
        temperature: 1,
        seed: 3,
        step,
      });
      for (const token of tokens) counts[token - 2]!++;
    }
    const total = counts.reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThan(3_500_000);
    const expected = [...probabilities, stay].map((p) => p / (1 + stay));
    expect(misfit(counts, expected)).toBeLessThan(1);
    for (const [i, p] of expected.entries()) {
      expect(Math.abs(counts[i]! / total - p)).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / total));
    }
  });

  it.each(["subs", "d3pm", "sedd"] as const)(
    "is the one its definition gives for each row (%s)",
    async (objective) => {
      const lengths = [40, 3, 90, 17];
      const batch = halfMasked(model, lengths, 2 ** 33);
      const conditioning = Float32Array.of(0.1, 1, 2, 3);
      using prediction = await model.native.predict(batch, { conditioning });
      const logits = await prediction.logits();
      const width = model.config.vocabSize;
      const rows: OracleRow[] = Array.from(prediction.rows, (row, i) => {
        const place = batch.offsets.findLastIndex((offset) => offset <= row);
        return {
          logits: [...logits.subarray(i * width, (i + 1) * width)],
          place,
          cell: batch.cells[place]!,
          position: row - batch.offsets[place]!,
        };
      });
      for (const temperature of [0, 0.7, 1]) {
        for (let step = 0; step < 20; step++) {
          const options: NativeDrawOptions = {
            objective,
            reveal: Float32Array.of(0.2, 0.4, 0.1, 1),
            stay: Float32Array.of(0.6, 0.3, 0.9, 0),
            ...(objective === "sedd" ? { sigma: Float32Array.of(0.1, 1, 2, 3) } : {}),
            temperature,
            seed: 4,
            step,
          };
          const { tokens, probability } = await prediction.draw(options);
          const oracle = drawOracle(rows, options);
          expect(tokens).toEqual(oracle.tokens);
          const places = Int32Array.from(rows.keys()).filter((place) => (place + step) % 3 === 0);
          const some = await prediction.draw({ ...options, places });
          expect(some.tokens).toEqual(places.map((place) => tokens[place]!));
          expect(some.probability).toEqual(Float32Array.from(places, (place) => probability[place]!));
          for (const [i, p] of probability.entries()) expect(p).toBeCloseTo(oracle.probability[i]!, 5);
        }
      }
    },
  );
});

describe("a native draw for some rows", () => {
  it("refuses places that are not there, or out of order", async () => {
    using model = await randomModel(8);
    const batch = halfMasked(model, [40]);
    using prediction = await model.native.predict(batch, { conditioning: Float32Array.of(1) });
    const one = Float32Array.of(1);
    const options = { objective: "subs", reveal: one, stay: one, temperature: 1, seed: 0, step: 0 } as const;
    for (const places of [[-1], [prediction.rows.length], [1, 0], [2, 2]]) {
      await expect(prediction.draw({ ...options, places: Int32Array.from(places) })).rejects.toThrow(
        "BATCH_INVALID: places must be numbers of predicted rows, ascending",
      );
    }
    const nothing = await prediction.draw({ ...options, places: new Int32Array(0) });
    expect(nothing.tokens.length).toBe(0);
  });
});

describe("sampling with the native network", () => {
  const samplers: readonly SamplerConfig[] = [
    { kind: "ancestral", steps: 6 },
    { kind: "cached-ancestral", steps: 6 },
    { kind: "analytic", steps: 6 },
    { kind: "first-hitting", steps: 5 },
    { kind: "parallel", steps: 4 },
  ];

  it.each(samplers)("fills in a cell alike whichever cells are beside it ($kind)", async (sampler) => {
    for (const objective of [{ kind: "subs" }, { kind: "d3pm", steps: 20 }, { kind: "sedd" }] as const) {
      using model = await randomModel(8, { objective });
      const batch = halfMasked(model, [30, 70, 1, 12]);
      const together = await sample(model, batch, { sampler, seed: 5 });
      expect(together.batch.tokens.includes(maskToken(model))).toBe(false);
      for (const [row, token] of batch.tokens.entries()) {
        if (token !== maskToken(model)) expect(together.batch.tokens[row]).toBe(token);
      }
      expect(await sample(model, batch, { sampler, seed: 5, maxTokens: 40 })).toEqual(together);
      for (const place of batch.cells.keys()) {
        const alone = await sample(model, selectCells(batch, [place]), { sampler, seed: 5 });
        expect(alone.batch.tokens).toEqual(selectCells(together.batch, [place]).tokens);
      }
    }
  });

  it("has one distribution under first-hitting and cached ancestral sampling", async () => {
    using model = await randomModel(3, { objective: { kind: "subs" } });
    // Without the noise level, as it differs between the samplers, the network's answers are the same.
    for (const { name, size } of model.parameters) {
      if (name.startsWith("sigma_map")) await model.writeParameter(name, new Float32Array(size));
    }
    const cells = 6000;
    const batch = {
      offsets: Int32Array.from({ length: cells + 1 }, (_, i) => 3 * i),
      genes: Int32Array.from({ length: 3 * cells }, (_, i) => 3 + (i % 3)),
      tokens: new Int32Array(3 * cells).fill(maskToken(model)),
      cells: Float64Array.from({ length: cells }, (_, i) => i),
    };
    const count = async (sampler: SamplerConfig, seed: number) => {
      const { batch: filled } = await sample(model, batch, { sampler, seed });
      const counts = new Array<number>(27).fill(0);
      for (let i = 0; i < cells; i++) {
        const [a = 0, b = 0, c = 0] = filled.tokens.subarray(3 * i, 3 * i + 3);
        counts[a - 2 + 3 * (b - 2) + 9 * (c - 2)]!++;
      }
      return counts;
    };
    const exact = await count({ kind: "first-hitting" }, 7);
    expect(disagreement(exact, await count({ kind: "cached-ancestral", steps: 200 }, 8))).toBeLessThan(1);
    expect(disagreement(exact, await count({ kind: "first-hitting" }, 9))).toBeLessThan(1);
    expect(disagreement(exact, await count({ kind: "parallel", steps: 3 }, 10))).toBeGreaterThan(1);
  });

  it("describes filled entries by probabilities", async () => {
    using model = await randomModel(8);
    const { filled } = await inpaint(model, halfMasked(model, [30, 70]), { seed: 11 });
    expect(filled.row.length).toBeGreaterThan(30);
    for (const [i, p] of filled.probability.entries()) {
      expect(p > 0 && p <= 1).toBe(true);
      expect(filled.expectedRank[i]! >= 0 && filled.expectedRank[i]! <= 7).toBe(true);
    }
  });

  it("stops in the middle of the work when aborted", async () => {
    using model = await randomModel(8);
    const reason = new Error("enough");
    const controller = new AbortController();
    const sampling = sample(model, halfMasked(model, new Array<number>(50).fill(150)), {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(reason), 20);
    await expect(sampling).rejects.toBe(reason);
  });
});
