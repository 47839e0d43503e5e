import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { networkRows } from "../../../lib/counts/network_rows.js";
import type { Denoiser } from "../../../lib/model/denoiser.js";
import { chooseQueries } from "../../../lib/native/counts.js";
import {
  type CompletedCells,
  type CompletionInput,
  type CountSamplerConfig,
  completeCells,
  completionSteps,
} from "../../../lib/sampling/counts/index.js";
import { misfit } from "../../statistics.js";
import { geneIds, randomCountModel } from "./random_count_model.js";

const GENES = 24;
let model: Denoiser;
let conditioned: Denoiser;
beforeAll(async () => {
  model = await randomCountModel(GENES, 30);
  conditioned = await randomCountModel(GENES, 30, {
    conditions: [
      { kind: "labels", name: "type", labels: ["B", "T"] },
      { kind: "number", name: "dose", scale: "linear", mean: 0, deviation: 1 },
    ],
  });
});
afterAll(() => {
  model[Symbol.dispose]();
  conditioned[Symbol.dispose]();
});

/** Cells of which these genes are visible with these counts and the others hidden. */
function cellsWith(
  rows: readonly Readonly<Record<number, number>>[],
  first = 0,
  genes = GENES,
): CompletionInput {
  const panel = geneIds(genes);
  const visible = rows.map((row) =>
    Object.entries(row).flatMap(([gene, count]) => (count > 0 ? [[Number(gene), count] as const] : [])),
  );
  const hidden = rows.map((row) => [...panel].filter((gene) => row[gene] === undefined));
  const offsetsOf = (lists: readonly (readonly unknown[])[]) => {
    const offsets = new Int32Array(lists.length + 1);
    for (const [i, list] of lists.entries()) offsets[i + 1] = offsets[i]! + list.length;
    return offsets;
  };
  return {
    visible: {
      offsets: offsetsOf(visible),
      genes: Int32Array.from(visible.flat().map(([gene]) => gene)),
      counts: Int32Array.from(visible.flat().map(([, count]) => count)),
      cells: Float64Array.from(rows, (_, i) => first + i),
      panels: new Int32Array(rows.length),
    },
    panels: [panel],
    hidden: { offsets: offsetsOf(hidden), genes: Int32Array.from(hidden.flat()) },
  };
}

/** Counts by gene id of one cell. */
function cellOf({ offsets, genes, counts }: CompletedCells, cell: number): Record<number, number> {
  const entries: [number, number][] = [];
  for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++) entries.push([genes[i]!, counts[i]!]);
  return Object.fromEntries(entries);
}

const samplers: readonly CountSamplerConfig[] = [
  { kind: "first-hitting" },
  { kind: "first-hitting", steps: 5 },
  { kind: "parallel", steps: 6 },
  { kind: "parallel", steps: 6, schedule: "linear" },
  { kind: "ancestral", steps: 7 },
  { kind: "remasking", steps: 9, eta: 0.8 },
];

/** What the model says of one hidden gene of three, [counts 0 .. most - 1], given what is visible. */
async function conditionals(
  three: Denoiser,
  asked: readonly { row: Record<number, number>; gene: number }[],
  most: number,
) {
  const { visible, hidden, panels } = cellsWith(
    asked.map(({ row }) => row),
    0,
    3,
  );
  const chosen = await chooseQueries({
    batch: visible,
    panels,
    share: three.base!.share,
    hide: hidden,
    ask: {
      offsets: Int32Array.from({ length: asked.length + 1 }, (_, i) => i),
      genes: Int32Array.from(asked, ({ gene }) => gene),
    },
    evidence: 100,
    summary: three.summaryInput!,
    seed: 0,
    step: 0,
  });
  const total = new Float32Array(asked.length).fill(Number.NaN);
  const told = { labels: new Int32Array(0), numbers: new Float32Array(0), total };
  using prediction = await three.native.predictCounts(networkRows(chosen, three.base!, told));
  const { logProbabilities } = await prediction.statistics({ logProbabilities: true });
  const values = logProbabilities.length / asked.length;
  return asked.map((_, i) =>
    Array.from(logProbabilities.subarray(i * values, i * values + most), (logP) => Math.exp(logP)),
  );
}

describe("completing cells", () => {
  it("draws every outcome as often as the product of the conditionals along a random order says", async () => {
    using three = await randomCountModel(3, 3);
    const MOST = 4;
    const ids = [3, 4, 5];
    const orders = ids.flatMap((a) => ids.filter((b) => b !== a).map((b) => [a, b, 12 - a - b] as const));
    const counts = Array.from({ length: MOST }, (_, i) => i);
    const outcomes = counts.flatMap((a) => counts.flatMap((b) => counts.map((c) => ({ 3: a, 4: b, 5: c }))));
    // Every conditional that is needed, once.
    const asked = new Map<string, { row: Record<number, number>; gene: number }>();
    const named = (outcome: Record<number, number>, order: readonly number[], i: number) => {
      const row = Object.fromEntries(order.slice(0, i).map((gene) => [gene, outcome[gene]!]));
      const key = JSON.stringify([row, order[i]]);
      asked.set(key, { row, gene: order[i]! });
      return key;
    };
    for (const outcome of outcomes)
      for (const order of orders) for (let i = 0; i < 3; i++) named(outcome, order, i);
    const said = await conditionals(three, [...asked.values()], MOST);
    const of = new Map([...asked.keys()].map((key, i) => [key, said[i]!]));
    const probabilities = outcomes.map(
      (outcome: Record<number, number>) =>
        orders.reduce(
          (sum, order) =>
            sum + order.reduce((p, gene, i) => p * of.get(named(outcome, order, i))![outcome[gene]!]!, 1),
          0,
        ) / orders.length,
    );
    const rest = 1 - probabilities.reduce((a, b) => a + b, 0);
    const RUNS = 20_000;
    const cells = cellsWith(
      Array.from({ length: RUNS }, () => ({})),
      0,
      3,
    );
    for (const sampler of [{ kind: "first-hitting" }, { kind: "parallel", steps: 3 }] as const) {
      const drawn = await completeCells(three, cells, { sampler, seed: 5 });
      const found = new Float64Array(outcomes.length + 1);
      for (let cell = 0; cell < RUNS; cell++) {
        const [a = 0, b = 0, c = 0] = ids.map((gene) => cellOf(drawn, cell)[gene] ?? 0);
        found[a < MOST && b < MOST && c < MOST ? (a * MOST + b) * MOST + c : outcomes.length]!++;
      }
      expect(misfit(found, [...probabilities, rest])).toBeLessThan(1);
    }
  });

  it("draws genes of one step as if they did not depend on each other", async () => {
    using three = await randomCountModel(3, 3);
    const said = await conditionals(
      three,
      [3, 4, 5].map((gene) => ({ row: {}, gene })),
      2,
    );
    const RUNS = 20_000;
    const cells = cellsWith(
      Array.from({ length: RUNS }, () => ({})),
      0,
      3,
    );
    const drawn = await completeCells(three, cells, { sampler: { kind: "parallel", steps: 1 } });
    const found = new Float64Array(8);
    for (let cell = 0; cell < RUNS; cell++)
      found[
        [3, 4, 5].reduce((sum, gene, i) => sum + (cellOf(drawn, cell)[gene] === undefined ? 0 : 2 ** i), 0)
      ]!++;
    const chances = Array.from({ length: 8 }, (_, outcome) =>
      said.reduce((p, [zero], i) => p * ((outcome >> i) & 1 ? 1 - zero! : zero!), 1),
    );
    expect(misfit(found, chances)).toBeLessThan(1);
  });

  it("keeps evidence and fills in every hidden gene once, whatever the sampler", async () => {
    const evidence = fc.dictionary(
      fc.integer({ min: 3, max: GENES + 2 }).map(String),
      fc.integer({ min: 0, max: 90 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(evidence, { maxLength: 4 }),
        fc.constantFrom(...samplers),
        async (rows, sampler) => {
          const cells = cellsWith(rows);
          const hiddenOf = (cell: number) => GENES - Object.keys(rows[cell]!).length;
          let before = rows.map((_, cell) => hiddenOf(cell));
          let last: CompletedCells | undefined;
          for await (const step of completionSteps(model, cells, { sampler })) {
            if (step.step === 0) expect([...step.hidden]).toEqual(before);
            if (sampler.kind !== "remasking")
              for (const [cell, hidden] of step.hidden.entries())
                expect(hidden).toBeLessThanOrEqual(before[cell]!);
            before = [...step.hidden];
            last = step;
            for (const [cell, hidden] of step.hidden.entries()) {
              const { offsets, genes } = step.hiddenGenes;
              const named = [...genes.subarray(offsets[cell]!, offsets[cell + 1]!)];
              expect(named).toEqual([...new Set(named)].sort((a, b) => a - b));
              expect(named).toHaveLength(hidden);
              for (const gene of named) {
                expect(rows[cell]![gene]).toBeUndefined();
                expect(cellOf(step, cell)[gene]).toBeUndefined();
              }
            }
            for (const [cell, row] of rows.entries())
              for (const [gene, count] of Object.entries(row))
                expect(cellOf(step, cell)[Number(gene)] ?? 0).toBe(count);
          }
          expect(before).toEqual(rows.map(() => 0));
          expect(last).toMatchObject(await completeCells(model, cells, { sampler }));
        },
      ),
      { numRuns: 25, seed: 4 },
    );
  });

  it("gives a cell the same counts alone, among others and in small runs of the network", async () => {
    const rows = [{ 4: 3, 9: 0 }, {}, { 3: 70, 5: 1, 6: 2 }, { 20: 5 }];
    for (const sampler of samplers) {
      const all = await completeCells(model, cellsWith(rows), { sampler, seed: 7 });
      const small = await completeCells(model, cellsWith(rows), { sampler, seed: 7, maxRows: 1 });
      expect(small).toEqual(all);
      for (const [cell, row] of rows.entries()) {
        const alone = await completeCells(model, cellsWith([row], cell), { sampler, seed: 7 });
        expect(cellOf(alone, 0)).toEqual(cellOf(all, cell));
      }
      expect(await completeCells(model, cellsWith(rows), { sampler, seed: 8 })).not.toEqual(all);
    }
  });

  it("hides drawn genes again where it remasks, and no evidence", async () => {
    const cells = cellsWith([{ 4: 3, 9: 0 }]);
    const shown: number[] = [];
    for await (const { hidden } of completionSteps(model, cells, {
      sampler: { kind: "remasking", steps: 12, eta: 1 },
    }))
      shown.push(hidden[0]!);
    expect(shown.some((hidden, i) => hidden > (shown[i - 1] ?? Number.POSITIVE_INFINITY))).toBe(true);
    expect(shown.at(-1)).toBe(0);
  });

  it("is told conditions, with guidance of 1 as without, of 0 as told nothing, else as neither", async () => {
    const cells = cellsWith([{ 4: 3 }, {}, {}]);
    const conditions = { labels: Int32Array.of(1, 2, 2), numbers: Float32Array.of(0.5, -1, 2) };
    const run = (guidance?: 0 | 1 | 3 | { gamma: number; ramp?: "linear" }, told = true) =>
      completeCells(
        conditioned,
        { ...cells, ...(told ? { conditions } : {}) },
        { sampler: { kind: "parallel", steps: 4 }, ...(guidance === undefined ? {} : { guidance }) },
      );
    const plain = await run();
    const untold = await run(undefined, false);
    expect(plain).not.toEqual(untold);
    expect(await run(1)).toEqual(plain);
    expect(await run({ gamma: 1, ramp: "linear" })).toEqual(plain);
    expect(await run(0)).toEqual(untold);
    const guided = await run(3);
    expect(guided).not.toEqual(plain);
    expect(await run({ gamma: 3 })).toEqual(guided);
    expect(await run({ gamma: 3, ramp: "linear" })).not.toEqual(guided);
  });

  it("is guided by what is visible: not at all at 0, as learnt at 1, otherwise at more", async () => {
    const run = (count: number, evidenceGuidance?: number, steps = 4) =>
      completeCells(
        model,
        // The depth stays: it is what is visible in all that tells it.
        { ...cellsWith([{ 4: count, 6: 32 - count }, {}]), total: new Float32Array(2).fill(90) },
        {
          sampler: { kind: "parallel", steps },
          ...(evidenceGuidance === undefined ? {} : { evidenceGuidance }),
        },
      );
    const drawn = ({ genes, counts }: CompletedCells) =>
      [...counts.entries()].filter(([i]) => genes[i] !== 4 && genes[i] !== 6).map(([i, n]) => [genes[i], n]);
    expect(drawn(await run(3, 0))).toEqual(drawn(await run(30, 0)));
    expect(drawn(await run(3))).not.toEqual(drawn(await run(30)));
    const plain = await run(3);
    expect(await run(3, 1)).toEqual(plain);
    expect(await run(3, 1.5)).not.toEqual(plain);
    // Of a cell that shows nothing there is nothing to be guided by.
    const last = ({ offsets, counts }: CompletedCells) => [...counts.subarray(offsets[1], offsets[2])];
    expect(last(await run(3, 5, 1))).toEqual(last(await run(3, 1, 1)));
  });

  it("keeps to a total that it is told", async () => {
    // Weights of 0: the network adds nothing to the base.
    using plain = await randomCountModel(GENES, 30, { scale: 0 });
    const cells = cellsWith(Array.from({ length: 300 }, (_, cell) => (cell % 2 === 0 ? {} : { 4: 20 })));
    const total = new Float32Array(300).fill(300);
    const sampler = { kind: "first-hitting" } as const;
    const meanTotal = (drawn: CompletedCells) => drawn.counts.reduce((a, b) => a + b, 0) / 300;
    const drawn = await completeCells(plain, { ...cells, total }, { sampler });
    expect(Math.abs(meanTotal(drawn) - 300)).toBeLessThan(15);
    const untold = await completeCells(plain, cells, { sampler });
    expect(Math.abs(meanTotal(untold) - 300)).toBeGreaterThan(100);
  });

  it("refuses what it cannot complete, naming it", async () => {
    const cells = cellsWith([{ 4: 3 }]);
    const refused = (change: object, options = {}) =>
      expect(completeCells(model, { ...cells, ...change }, options)).rejects;
    const { visible } = cells;
    await refused({ visible: { ...visible, genes: Int32Array.of(99) } }).toThrow(
      /BATCH_INVALID.*cell 0.*gene id 99/,
    );
    await refused({ hidden: { offsets: Int32Array.of(0, 1), genes: Int32Array.of(4) } }).toThrow(
      /BATCH_INVALID.*both visible and hidden/,
    );
    await refused({ visible: { ...visible, panels: Int32Array.of(1) } }).toThrow(/BATCH_INVALID.*no panel 1/);
    await refused({ total: new Float32Array(2) }).toThrow(/ARGUMENT_LENGTH/);
    await refused({}, { sampler: { kind: "analytic", steps: 3 } }).toThrow(/SAMPLER_UNKNOWN.*remasking/);
    await refused({}, { sampler: { kind: "ancestral", steps: 0 } }).toThrow(/ARGUMENT_RANGE.*sampler.steps/);
    await refused({}, { evidenceGuidance: -1 }).toThrow(/ARGUMENT_RANGE.*evidenceGuidance/);
    await refused({}, { guidance: 2 }).toThrow(/MODEL_CONFIG.*--condition/);
    await refused({}, { signal: AbortSignal.abort(new Error("enough")) }).toThrow("enough");
  });

  it("ends with an error where a weight is not finite, whatever the sampler", async () => {
    using broken = await randomCountModel(GENES, 30);
    const name = "output_layer.linear.weight";
    const weights = await broken.readParameter(name);
    weights.fill(Number.NaN);
    await broken.writeParameter(name, weights);
    for (const sampler of samplers)
      await expect(completeCells(broken, cellsWith([{}]), { sampler })).rejects.toThrow(
        /MODEL_NOT_FINITE.*cell 0/,
      );
  });
});
