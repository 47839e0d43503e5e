import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { philox } from "../../lib/base/random.js";
import { selectCells } from "../../lib/batching/index.js";
import { type ChooseQueriesInput, type CountRows, chooseQueries } from "../../lib/native/counts.js";
import { CountTokens } from "../../lib/tokenizer/index.js";
import type { RaggedBatch } from "../../lib/tokenizer/ragged_batch.js";

const strategy = new CountTokens();
const MASK = strategy.values + 2;

/** Cells given as counts by gene id (place 0 is gene 3), all of one panel. */
function batchOf(cells: readonly (readonly number[])[], panels = cells.map(() => 0)): RaggedBatch {
  const offsets = [0];
  const genes: number[] = [];
  const counts: number[] = [];
  for (const cell of cells) {
    genes.push(1);
    counts.push(0);
    for (const [i, count] of cell.entries()) {
      if (count === 0) continue;
      genes.push(i + 3);
      counts.push(count);
    }
    offsets.push(genes.length);
  }
  return {
    offsets: Int32Array.from(offsets),
    genes: Int32Array.from(genes),
    tokens: Int32Array.from(counts, (count, i) => (genes[i] === 1 ? 0 : strategy.valueOf(count) + 2)),
    counts: Int32Array.from(counts),
    cells: Float64Array.from(cells.keys(), (cell) => 100 + cell),
    panels: Int32Array.from(panels),
  };
}

function allGenes(genes: number): Int32Array {
  return Int32Array.from({ length: genes }, (_, i) => i + 3);
}

/** Shares that fall, rise and repeat. */
function sharesOf(genes: number): Float64Array {
  const weights = Array.from({ length: genes }, (_, i) => 1 + ((i * 37) % 11) ** 2);
  const sum = weights.reduce((a, b) => a + b, 0);
  return Float64Array.of(0, 0, 0, ...weights.map((weight) => weight / sum));
}

function inputOf(
  cells: readonly (readonly number[])[],
  more: Partial<ChooseQueriesInput> = {},
): ChooseQueriesInput {
  const genes = cells[0]?.length ?? 0;
  const all = Number.POSITIVE_INFINITY;
  return {
    batch: batchOf(cells),
    panels: [allGenes(genes)],
    share: sharesOf(genes),
    hidden: Int32Array.from(cells, () => Math.ceil(genes / 2)),
    ...{ zeros: all, expressed: all, evidence: all, seed: 5, step: 9 },
    ...more,
  };
}

/** A cell's rows as plain lists. */
function cellOf(rows: CountRows, cell: number) {
  const first = rows.offsets[cell]!;
  const end = rows.offsets[cell + 1]!;
  const keys = rows.keys[cell]!;
  let query = 0;
  for (let i = 0; i < cell; i++) query += rows.offsets[i + 1]! - rows.offsets[i]! - rows.keys[i]!;
  const queries = [query, query + end - first - keys] as const;
  return {
    evidence: [...rows.genes.slice(first + 1, first + keys)],
    evidenceTokens: [...rows.tokens.slice(first, first + keys)],
    queries: [...rows.genes.slice(first + keys, end)],
    queryTokens: [...rows.tokens.slice(first + keys, end)],
    answers: [...rows.answers.slice(...queries)],
    counts: [...rows.counts.slice(...queries)],
    weight: [...rows.weight.slice(...queries)],
    hidden: rows.hidden[cell]!,
    measured: rows.measured[cell]!,
    visibleTotal: rows.visibleTotal[cell]!,
    visibleShare: rows.visibleShare[cell]!,
    hiddenShare: rows.hiddenShare[cell]!,
  };
}

/** The hidden genes of a cell by the definition, in JavaScript. */
function hiddenByDefinition(genes: Int32Array, count: number, cell: number, seed: number, step: number) {
  const word = (gene: number) =>
    philox(Math.floor(gene / 4), cell, step, (11 << 24) >>> 0, seed, 0)[gene % 4]!;
  return [...genes]
    .sort((a, b) => word(a) - word(b) || a - b)
    .slice(0, count)
    .sort((a, b) => a - b);
}

const cell = (genes: number) =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 400 }) },
    ),
    { minLength: genes, maxLength: genes },
  );

describe("the choice of queries", () => {
  it("hides the genes of the smallest words, and asks about every one of them where there is no limit", async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 900 }).chain((genes) =>
        fc.record({
          cells: fc.array(cell(genes), { minLength: 1, maxLength: 4 }),
          hidden: fc.array(fc.integer({ min: 1, max: genes }), { minLength: 4, maxLength: 4 }),
        }),
      ),
      async ({ cells, hidden }) => {
        const genes = cells[0]!.length;
        const input = inputOf(cells, { hidden: Int32Array.from(cells, (_, i) => hidden[i]!) });
        const rows = await chooseQueries(input);
        for (const [i, counts] of cells.entries()) {
          const found = cellOf(rows, i);
          const expected = hiddenByDefinition(allGenes(genes), hidden[i]!, 100 + i, 5, 9);
          const visible = [...allGenes(genes)].filter((gene) => !expected.includes(gene));
          const seen = visible.filter((gene) => counts[gene - 3]! > 0);
          expect(found.queries).toEqual(expected);
          expect(found.evidence).toEqual(seen);
          expect(found.counts).toEqual(expected.map((gene) => counts[gene - 3]));
          expect(found.answers).toEqual(found.counts.map((count) => strategy.valueOf(count)));
          expect(found.weight.every((weight) => weight === 1)).toBe(true);
          expect(found.evidenceTokens).toEqual([
            0,
            ...seen.map((gene) => strategy.valueOf(counts[gene - 3]!) + 2),
          ]);
          expect(found.queryTokens.every((token) => token === MASK)).toBe(true);
          expect(found.hidden).toBe(hidden[i]);
          expect(found.measured).toBe(genes);
          expect(found.visibleTotal).toBe(seen.reduce((sum, gene) => sum + counts[gene - 3]!, 0));
          const share = (list: readonly number[]) => list.reduce((sum, gene) => sum + input.share[gene]!, 0);
          expect(found.visibleShare).toBeCloseTo(share(visible), 12);
          expect(found.hiddenShare).toBeCloseTo(share(expected), 12);
        }
        expect([...rows.cells]).toEqual([...input.batch.cells]);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it("hides of fewer genes a part of what it hides of more", async () => {
    const counts = Array.from({ length: 500 }, (_, i) => i % 3);
    let before: number[] = [];
    for (const hidden of [1, 2, 50, 51, 300, 499, 500]) {
      const rows = await chooseQueries(inputOf([counts], { hidden: Int32Array.of(hidden) }));
      const { queries } = cellOf(rows, 0);
      expect(before.every((gene) => queries.includes(gene))).toBe(true);
      before = queries;
    }
  });

  it("gives a cell the same rows whatever the batch, and others for another seed, step or cell", async () => {
    const cells = Array.from({ length: 6 }, (_, cell) =>
      Array.from({ length: 80 }, (_, gene) => (gene * (cell + 3)) % 5),
    );
    const limits = { zeros: 7, expressed: 6, evidence: 9 };
    const input = inputOf(cells, limits);
    const whole = await chooseQueries(input);
    expect(await chooseQueries(input)).toEqual(whole);
    for (const cell of cells.keys()) {
      const batch = selectCells(batchOf(cells), [cell, (cell + 1) % 6]);
      const some = await chooseQueries({ ...input, batch, hidden: Int32Array.of(40, 40) });
      expect(cellOf(some, 0)).toEqual(cellOf(whole, cell));
    }
    const other = await chooseQueries({ ...input, step: 10 });
    expect(cellOf(other, 0).queries).not.toEqual(cellOf(whole, 0).queries);
    const seeded = await chooseQueries({ ...input, seed: 2 ** 33 + 5 });
    expect(cellOf(seeded, 0).queries).not.toEqual(cellOf(whole, 0).queries);
  });

  it("gives a gene the same word in every panel", async () => {
    const counts = Array.from({ length: 60 }, () => 1);
    const odd = allGenes(60).filter((gene) => gene % 2 === 1);
    const batch = batchOf([counts.map((_, i) => ((i + 3) % 2 === 1 ? 1 : 0))]);
    const all = await chooseQueries(inputOf([counts], { hidden: Int32Array.of(30) }));
    const hiddenOdd = cellOf(all, 0).queries.filter((gene) => gene % 2 === 1);
    const half = await chooseQueries({
      ...inputOf([counts], { hidden: Int32Array.of(hiddenOdd.length) }),
      batch,
      panels: [odd],
    });
    expect(cellOf(half, 0).queries).toEqual(hiddenOdd);
    expect(cellOf(half, 0).measured).toBe(30);
    expect(cellOf(half, 0).visibleShare + cellOf(half, 0).hiddenShare).toBeLessThan(0.9);
  });

  it("keeps to its limits, with weights that sum to what is hidden", async () => {
    const property = fc.asyncProperty(
      cell(200),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 60 }),
      async (counts, hidden, zeros, expressed, evidence) => {
        const limits = { zeros, expressed, evidence, hidden: Int32Array.of(hidden) };
        const found = cellOf(await chooseQueries(inputOf([counts], limits)), 0);
        const free = cellOf(await chooseQueries(inputOf([counts], { hidden: Int32Array.of(hidden) })), 0);
        const asked = found.queries.map((gene, i) => [gene, found.counts[i]!, found.weight[i]!] as const);
        const [on, off] = [asked.filter(([, count]) => count > 0), asked.filter(([, count]) => count === 0)];
        const hiddenOn = free.counts.filter((count) => count > 0).length;
        expect(on.length).toBe(Math.min(expressed, hiddenOn));
        expect(off.length).toBe(Math.min(zeros, hidden - hiddenOn));
        const sum = (list: typeof asked) => list.reduce((total, [, , weight]) => total + weight, 0);
        expect(sum(on)).toBeCloseTo(hiddenOn, 3);
        expect(sum(off)).toBe(hidden - hiddenOn);
        expect(found.queries.every((gene) => free.queries.includes(gene))).toBe(true);
        expect(found.queries).toEqual([...found.queries].sort((a, b) => a - b));
        // Evidence that is too much is hidden, and not asked about.
        expect(found.evidence.length).toBe(Math.min(evidence, free.evidence.length));
        expect(found.evidence.every((gene) => free.evidence.includes(gene))).toBe(true);
        expect(found.hidden).toBe(hidden + free.evidence.length - found.evidence.length);
        expect(found.visibleTotal).toBe(found.evidence.reduce((all, gene) => all + counts[gene - 3]!, 0));
        expect(found.visibleShare + found.hiddenShare).toBeCloseTo(1, 12);
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it("asks about a third of many expressed genes, where that is more and up to a limit", async () => {
    const counts = Array.from({ length: 400 }, () => 1);
    const askedOf = async (hidden: number, expressed: number, expressedMost?: number) => {
      const most = expressedMost === undefined ? {} : { expressedMost };
      const rows = await chooseQueries(
        inputOf([counts], { hidden: Int32Array.of(hidden), expressed, ...most }),
      );
      const { weight } = cellOf(rows, 0);
      expect(weight.reduce((sum, each) => sum + each, 0)).toBeCloseTo(hidden, 3);
      return weight.length;
    };
    expect(await askedOf(90, 100, 120)).toBe(90);
    expect(await askedOf(299, 100, 120)).toBe(100);
    expect(await askedOf(301, 100, 120)).toBe(101);
    expect(await askedOf(400, 100, 120)).toBe(120);
    expect(await askedOf(400, 100)).toBe(100);
    expect(await askedOf(400, 100, 50)).toBe(100);
  });

  it("asks so that weighted sums are right on average: by far more draws than chance would let differ", async () => {
    const genes = 40;
    const counts = Array.from({ length: genes }, (_, i) => (i % 3 === 0 ? i + 1 : 0));
    const hide = { offsets: Int32Array.of(0, 30), genes: allGenes(30) };
    const value = (gene: number) => Math.sin(gene) + 2;
    const runs = 3000;
    const sums = new Float64Array(runs);
    const asked = new Float64Array(genes + 3);
    const batch = batchOf([counts]);
    for (let step = 0; step < runs; step++) {
      const { hidden: _, ...input } = inputOf([counts], { zeros: 6, expressed: 4, step });
      const { queries, weight } = cellOf(await chooseQueries({ ...input, batch, hide }), 0);
      for (const [i, gene] of queries.entries()) {
        sums[step] = sums[step]! + weight[i]! * value(gene);
        asked[gene] = asked[gene]! + weight[i]! / runs;
      }
    }
    const mean = sums.reduce((a, b) => a + b, 0) / runs;
    const spread = Math.sqrt(sums.reduce((a, b) => a + (b - mean) ** 2, 0) / runs / runs);
    const truth = [...hide.genes].reduce((sum, gene) => sum + value(gene), 0);
    expect(Math.abs(mean - truth)).toBeLessThan(4.5 * spread);
    // The same for each gene by itself: weight * chance is 1. The largest weight is 30, so that 1 is 5 deviations off.
    for (const gene of hide.genes) expect(Math.abs(asked[gene]! - 1)).toBeLessThan(5 * Math.sqrt(30 / runs));
    expect(asked.subarray(33).every((count) => count === 0)).toBe(true);
  });

  it("cuts genes without counts into strata of descending share and nearly equal sums of its root", async () => {
    const genes = 300;
    const share = sharesOf(genes);
    const order = [...allGenes(genes)].sort((a, b) => share[b]! - share[a]! || a - b);
    const root = order.map((gene) => Math.sqrt(share[gene]!));
    const total = root.reduce((a, b) => a + b, 0);
    const weights: number[][] = [];
    for (let step = 0; step < 40; step++) {
      const rows = await chooseQueries(
        inputOf([order.map(() => 0)], { hidden: Int32Array.of(genes), zeros: 20, step }),
      );
      const { queries, weight } = cellOf(rows, 0);
      const byOrder = queries
        .map((gene, i) => [order.indexOf(gene), weight[i]!] as const)
        .sort(([a], [b]) => a - b);
      // The strata follow from the weights: each query lies in its own.
      let first = 0;
      for (const [place, size] of byOrder) {
        expect(place).toBeGreaterThanOrEqual(first);
        expect(place).toBeLessThan(first + size);
        const sum = root.slice(first, first + size).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - total / 20)).toBeLessThan(root[0]!);
        first += size;
      }
      expect(first).toBe(genes);
      weights.push(byOrder.map(([, size]) => size));
    }
    expect(weights.every((list) => `${list}` === `${weights[0]}`)).toBe(true);
  });

  it("takes one gene, all genes, a cell without counts", async () => {
    const one = cellOf(await chooseQueries(inputOf([[4]], { hidden: Int32Array.of(1) })), 0);
    expect(one).toMatchObject({ evidence: [], queries: [3], counts: [4], visibleTotal: 0, visibleShare: 0 });
    const all = cellOf(await chooseQueries(inputOf([[4, 0, 2]], { hidden: Int32Array.of(3), zeros: 1 })), 0);
    expect(all).toMatchObject({ evidence: [], queries: [3, 4, 5], visibleTotal: 0, visibleShare: 0 });
    const none = cellOf(await chooseQueries(inputOf([[0, 0, 0]], { hidden: Int32Array.of(2) })), 0);
    expect(none).toMatchObject({ evidence: [], counts: [0, 0], visibleTotal: 0, hidden: 2 });
    const rows = await chooseQueries(inputOf([]));
    expect([...rows.offsets]).toEqual([0]);
  });

  it("thins every molecule with the same chance, before anything else", async () => {
    const counts = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? i : 0));
    const input = inputOf([counts, counts], { hidden: Int32Array.of(100, 100) });
    const total = counts.reduce((a, b) => a + b, 0);
    const runs = 200;
    let kept = 0;
    for (let step = 0; step < runs; step++) {
      const rows = await chooseQueries({ ...input, thin: Float32Array.of(0.3, 1), step });
      const [thinned, whole] = [cellOf(rows, 0), cellOf(rows, 1)];
      expect(whole.counts).toEqual(counts);
      expect(thinned.counts.every((count, i) => count <= counts[i]!)).toBe(true);
      kept += thinned.counts.reduce((a, b) => a + b, 0);
    }
    expect(Math.abs(kept / runs - 0.3 * total)).toBeLessThan(5 * Math.sqrt((total * 0.3 * 0.7) / runs));
    const gone = cellOf(await chooseQueries({ ...input, thin: Float32Array.of(0, 1) }), 0);
    expect(gone.counts.every((count) => count === 0)).toBe(true);
  });

  it("asks about the hidden genes that it is told to ask about, and about none where there are none", async () => {
    const input = inputOf([
      [1, 0, 2],
      [3, 0, 5],
    ]);
    const lists = (first: number[], second: number[]) => ({
      offsets: Int32Array.of(0, first.length, first.length + second.length),
      genes: Int32Array.of(...first, ...second),
    });
    const rows = await chooseQueries({ ...input, hide: lists([3, 4], []), ask: lists([3], []) });
    expect(cellOf(rows, 0)).toMatchObject({
      queries: [3],
      counts: [1],
      weight: [1],
      evidence: [5],
      hidden: 2,
    });
    expect(cellOf(rows, 1)).toMatchObject({ queries: [], counts: [], evidence: [3, 5], hidden: 0 });
    expect(rows.hiddenShare[1]).toBe(0);
    const refused = (ask: ChooseQueriesInput["ask"], hide = lists([3, 4], [])) =>
      expect(chooseQueries({ ...input, hide, ...(ask === undefined ? {} : { ask }) })).rejects;
    await refused(lists([5], [])).toThrow(
      /ARGUMENT_RANGE: cell 0 .*ask names gene id 5, which is not hidden/,
    );
    await refused(lists([4, 3], [])).toThrow(/ARGUMENT_RANGE: cell 0 .*ask names gene id 3 after/);
    await refused(lists([3], [3])).toThrow(/ARGUMENT_RANGE: cell 1 .*not hidden/);
    await refused(undefined).toThrow(/ARGUMENT_RANGE: cell 1 .*hide names none/);
    await expect(chooseQueries({ ...input, ask: lists([3], []) })).rejects.toThrow(
      /ARGUMENT_RANGE.*needs hide/,
    );
  });

  it("refuses what does not fit, naming the cell", async () => {
    const input = inputOf([
      [1, 0, 2],
      [3, 0, 0],
    ]);
    const refused = (more: Partial<ChooseQueriesInput>) =>
      expect(chooseQueries({ ...input, ...more })).rejects;
    await refused({ hidden: Int32Array.of(1, 4) }).toThrow(/ARGUMENT_RANGE: cell 1 .*hidden is 4.*3 genes/);
    await refused({ hidden: Int32Array.of(0, 1) }).toThrow(/ARGUMENT_RANGE: cell 0 .*hidden is 0/);
    await refused({ hidden: Int32Array.of(1) }).toThrow(/ARGUMENT_RANGE.*each cell/);
    await refused({ thin: Float32Array.of(1, 1.5) }).toThrow(/ARGUMENT_RANGE: cell 1 .*thin/);
    await refused({ panels: [Int32Array.of(3, 4)] }).toThrow(/BATCH_INVALID: cell 0 .*gene id 5 is not in/);
    await refused({ panels: [] }).toThrow(/BATCH_INVALID: cell 0 .*no panel 0/);
    await refused({ panels: [Int32Array.of(4, 3, 5)] }).toThrow(/ARGUMENT_RANGE.*ascend/);
    await refused({ share: new Float64Array(6) }).toThrow(/ARGUMENT_RANGE.*share must be above 0/);
    await refused({ zeros: -1 }).toThrow(/ARGUMENT_RANGE.*zeros/);
    await refused({ step: 2 ** 44 }).toThrow(/ARGUMENT_RANGE.*step/);
    const hide = (...genes: number[]) => ({
      offsets: Int32Array.of(0, genes.length - 1, genes.length),
      genes: Int32Array.from(genes),
    });
    await refused({ hide: hide(4, 9, 3) }).toThrow(/ARGUMENT_RANGE: cell 0 .*gene id 9.*not measure/);
    await refused({ hide: hide(4, 4, 3) }).toThrow(/ARGUMENT_RANGE: cell 0 .*gene id 4 after/);
    await refused({ hide: hide(3) }).toThrow(/ARGUMENT_RANGE: cell 0 .*none/);
    const { counts: _, ...ranks } = input.batch;
    await refused({ batch: ranks }).toThrow(/BATCH_INVALID.*CountTokens/);
    await refused({ batch: { ...input.batch, offsets: Int32Array.of(0, 99, 5) } }).toThrow(
      /BATCH_INVALID: cell 0/,
    );
    const given = cellOf(await chooseQueries({ ...input, hide: hide(3, 5, 4) }), 0);
    expect(given).toMatchObject({ queries: [3, 5], counts: [1, 2], evidence: [], hidden: 2 });
  });
});
