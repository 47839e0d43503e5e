import { describe, expect, it } from "vitest";
import { concatenateBatches, selectCells } from "../../lib/batching/index.js";
import { generate, inpaint, maskGenes, sample } from "../../lib/sampling/index.js";
import { correlated, KnownJoint } from "../known_joint.js";
import { disagreement, misfit } from "../statistics.js";
import { jointModel, maskedJointCells } from "./joint_model.js";

const MASK = correlated.values + 2;

describe("inpainting", () => {
  it("keeps the evidence and describes every filled entry by its distribution given the evidence", async () => {
    const known = [undefined, 1, undefined];
    const { batch, filled } = await inpaint(jointModel(correlated), maskedJointCells(correlated, 40, known), {
      seed: 1,
    });
    expect([...filled.cell]).toEqual(Array.from({ length: 80 }, (_, i) => Math.floor(i / 2)));
    for (const [entry, row] of filled.row.entries()) {
      const position = row % 3;
      expect(position).not.toBe(1);
      expect(row).toBe(filled.cell[entry]! * 3 + position);
      expect(filled.gene[entry]).toBe(3 + position);
      expect(filled.rank[entry]).toBe(batch.tokens[row]! - 2);
      const marginal = correlated.conditional(position, known);
      expect(filled.probability[entry]).toBeCloseTo(marginal[filled.rank[entry]!]!, 6);
      expect(filled.expectedRank[entry]).toBeCloseTo(marginal[1]! + 2 * marginal[2]!, 6);
    }
    for (let cell = 0; cell < 40; cell++) expect(batch.tokens[cell * 3 + 1]).toBe(3);
  });

  it.each([0, 1])(
    "says which count to expect by what each rank stands for in the cell (temperature %i)",
    async (temperature) => {
      const known = [undefined, 1, undefined];
      const asked: number[] = [];
      const { filled } = await inpaint(jointModel(correlated), maskedJointCells(correlated, 3, known), {
        temperature,
        countsOf: (cell) => {
          asked.push(cell);
          return Float32Array.of(1, 5 * cell, 20);
        },
      });
      expect(asked).toEqual([0, 1, 2]);
      for (const [entry, row] of filled.row.entries()) {
        const [low, middle, high] = correlated.conditional(row % 3, known);
        const expected = low! + middle! * 5 * filled.cell[entry]! + high! * 20;
        expect(filled.expectedCount?.[entry]).toBeCloseTo(expected, 5);
      }
      const without = await inpaint(jointModel(correlated), maskedJointCells(correlated, 3, known));
      expect(without.filled).not.toHaveProperty("expectedCount");
    },
  );

  it("refuses counts that are none for every rank", async () => {
    const cells = maskedJointCells(correlated, 1, [0, undefined, 2]);
    const options = { countsOf: () => new Float32Array(2) };
    await expect(inpaint(jointModel(correlated), cells, options)).rejects.toMatchObject({
      code: "ARGUMENT_TYPE",
      place: { argument: "countsOf" },
    });
  });

  it("starts sampling from what describes the entries, but where the network is told another noise level", async () => {
    const cells = maskedJointCells(correlated, 4, [undefined, 1, undefined]);
    for (const timeConditioning of [false, true]) {
      const { networkEvaluations } = await inpaint(jointModel(correlated, { timeConditioning }), cells);
      expect([...networkEvaluations]).toEqual(new Array(4).fill(timeConditioning ? 3 : 2));
    }
  });

  it("masks what `keep` does not keep, but never a special token", async () => {
    const clean = {
      offsets: Int32Array.of(0, 4),
      genes: Int32Array.of(1, 3, 4, 5),
      tokens: Int32Array.of(0, 2, 3, 4),
      cells: Float64Array.of(9),
    };
    const { batch, filled } = await inpaint(jointModel(correlated), clean, {
      keep: Uint8Array.of(0, 1, 0, 1),
    });
    expect([...filled.row]).toEqual([2]);
    expect([batch.tokens[0], batch.tokens[1], batch.tokens[3]]).toEqual([0, 2, 4]);
    expect([...clean.tokens]).toEqual([0, 2, 3, 4]);
  });

  it("describes entries the same however the cells are split", async () => {
    const cells = maskedJointCells(correlated, 10);
    const whole = await inpaint(jointModel(correlated), cells, { seed: 2 });
    expect(await inpaint(jointModel(correlated), cells, { seed: 2, maxTokens: 4 })).toEqual(whole);
  });

  it("has nothing to say where nothing was masked", async () => {
    const model = jointModel(correlated);
    const { filled, batch } = await inpaint(model, maskedJointCells(correlated, 2, [0, 1, 2]));
    expect(filled.row.length).toBe(0);
    expect(batch.tokens.includes(MASK)).toBe(false);
    expect(model.calls).toEqual([]);
  });

  it("passes cells with nothing masked on beside others that have", async () => {
    const model = jointModel(correlated);
    const cells = concatenateBatches([
      maskedJointCells(correlated, 1, [0, 1, 2]),
      maskedJointCells(correlated, 1, [0, undefined, 2]),
    ]);
    const { filled, batch, networkEvaluations } = await inpaint(model, cells);
    expect([...filled.cell]).toEqual([1]);
    expect([...filled.row]).toEqual([4]);
    expect([...batch.tokens.subarray(0, 4)]).toEqual([2, 3, 4, 2]);
    expect(networkEvaluations[0]).toBe(0);
  });

  it.each([
    { kind: "first-hitting" },
    { kind: "parallel", steps: 1 },
    { kind: "ancestral", steps: 2 },
  ] as const)("takes a batch without cells, by $kind", async (sampler) => {
    const model = jointModel(correlated);
    const none = selectCells(maskedJointCells(correlated, 1), []);
    for (const temperature of [0, 1]) {
      const { filled, batch, networkEvaluations } = await inpaint(model, none, { sampler, temperature });
      expect(filled.row.length).toBe(0);
      expect(batch).toEqual(none);
      expect(networkEvaluations.length).toBe(0);
    }
    expect((await sample(model, none, { sampler })).batch).toEqual(none);
    expect(maskGenes(model, none, [3])).toEqual(none);
    expect(model.calls).toEqual([]);
  });

  it("refuses a batch without cells that has tokens", async () => {
    const bad = { ...maskedJointCells(correlated, 1), cells: new Float64Array(0), offsets: Int32Array.of(0) };
    await expect(inpaint(jointModel(correlated), bad)).rejects.toThrow("BATCH_INVALID");
  });

  it("refuses a keep of another length", async () => {
    const cells = maskedJointCells(correlated, 1);
    await expect(inpaint(jointModel(correlated), cells, { keep: new Uint8Array(2) })).rejects.toThrow(
      "ARGUMENT_RANGE: expected keep of length 3 (one entry a token) but received length 2",
    );
  });
});

describe("generation", () => {
  it("draws cells of the given genes from the model's distribution", async () => {
    const { cells, genes, ranks } = await generate(jointModel(correlated), {
      genes: ["gene 0", "gene 1", "gene 2"],
      cells: 5000,
      seed: 3,
    });
    expect(cells).toBe(5000);
    expect([...genes]).toEqual([3, 4, 5]);
    const counts = new Array<number>(27).fill(0);
    for (let cell = 0; cell < cells; cell++)
      counts[correlated.index([...ranks.subarray(cell * 3, cell * 3 + 3)])]!++;
    expect(misfit(counts, correlated.probabilities)).toBeLessThan(1);
  });

  it("returns genes in the order asked for, ids or names, and shows the model ascending ids", async () => {
    const model = jointModel(correlated);
    const asked = await generate(model, { genes: [5, "gene 0", 4], cells: 30, seed: 4 });
    const sorted = await generate(model, { genes: [3, 4, 5], cells: 30, seed: 4 });
    expect([...asked.genes]).toEqual([5, 3, 4]);
    for (let cell = 0; cell < 30; cell++) {
      const [a, b, c] = sorted.ranks.subarray(cell * 3, cell * 3 + 3);
      expect([...asked.ranks.subarray(cell * 3, cell * 3 + 3)]).toEqual([c, a, b]);
    }
  });

  it("starts cells with the cls token where the model's cells do", async () => {
    const model = { ...jointModel(correlated), tokenizer: { cls: true } };
    await generate(model, { genes: [3, 4], cells: 2, sampler: { kind: "ancestral", steps: 1 } });
    await generate(model, { genes: [3, 4], cells: 2, cls: false, sampler: { kind: "ancestral", steps: 1 } });
    expect(model.calls.map(({ tokens, rows }) => [tokens, rows])).toEqual([
      [6, 4],
      [4, 4],
    ]);
  });

  it("goes on where an earlier call ended, with firstCell", async () => {
    const model = jointModel(correlated);
    const whole = await generate(model, { genes: [3, 4, 5], cells: 10, seed: 5 });
    const rest = await generate(model, { genes: [3, 4, 5], cells: 4, firstCell: 6, seed: 5 });
    expect(rest.ranks).toEqual(whole.ranks.subarray(18));
  });

  it("gives the marginal distribution of a part of the genes", async () => {
    const marginal = new KnownJoint(
      1,
      3,
      ([a = 0]) => correlated.conditional(1, [undefined, undefined, undefined])[a]!,
    );
    const count = async (genes: number[], column: number) => {
      const { ranks } = await generate(jointModel(correlated), { genes, cells: 4000, seed: 6 });
      const counts = [0, 0, 0];
      for (let i = column; i < ranks.length; i += genes.length) counts[ranks[i]!]!++;
      return counts;
    };
    expect(misfit(await count([4], 0), marginal.probabilities)).toBeLessThan(1);
    expect(disagreement(await count([4], 0), await count([3, 4, 5], 1))).toBeLessThan(1);
  });

  it("refuses genes it does not know, genes given twice, and no genes", async () => {
    const model = jointModel(correlated);
    const refusal = (genes: (string | number)[]) => generate(model, { genes, cells: 1 });
    await expect(refusal(["Xkr4"])).rejects.toThrow(
      'GENE_UNKNOWN: gene "Xkr4" is not in the model\'s vocabulary of 3 genes',
    );
    await expect(refusal([1])).rejects.toThrow("GENE_UNKNOWN");
    await expect(refusal([99])).rejects.toThrow("GENE_UNKNOWN");
    await expect(refusal(["gene 1", 4])).rejects.toThrow("GENE_DUPLICATE: gene 4 was given twice");
    await expect(refusal([])).rejects.toThrow("ARGUMENT_RANGE");
    await expect(generate(model, { genes: [3], cells: 0 })).rejects.toThrow("ARGUMENT_RANGE");
  });
});
