/** The typed door to the addon's functions that make of cells what count models read. */
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkSeed, checkWhole, DdscError } from "../base/errors.js";
import { callAddon } from "./addon.js";

/** Cells with exact counts: a `RaggedBatch` of count tokens. */
export interface CountCells {
  /** [cells + 1] */
  readonly offsets: Int32Array;
  /** Gene ids, ascending within a cell; cls and the other special ids are passed over. [tokens] */
  readonly genes: Int32Array;
  /** [tokens] */
  readonly counts?: Int32Array;
  /** Index of each cell, which names its random streams. [cells] */
  readonly cells: Float64Array;
  /** Number of each cell's panel. [cells] */
  readonly panels?: Int32Array;
}

/** What cells are summarised with: a `CellSummary` and the statistics of depth that it was learnt with. */
export interface SummaryPool {
  /** Ids of the pooled genes, ascending. */
  readonly genes: Int32Array;
  /** Loadings, [pooled genes, width]. */
  readonly pool: Float32Array;
  /** [width] */
  readonly ridge: Float64Array;
  /** `CountBase.size`, [gene vocabulary]. */
  readonly size: Float64Array;
  /** `CountBase.meanDepth` */
  readonly meanDepth: number;
  /** `CountBase.spread` */
  readonly spread: number;
}

/** Gene ids of each cell, cells end to end. */
export interface GeneLists {
  /** [cells + 1] */
  readonly offsets: Int32Array;
  /** Ascending within a cell. */
  readonly genes: Int32Array;
}

/** What `chooseQueries` chooses from, and how much. */
export interface ChooseQueriesInput {
  /** Cells with counts and panels. */
  readonly batch: CountCells;
  /** Ids of the genes of each panel, ascending, as of `GeneMapping.panels`. */
  readonly panels: readonly Int32Array[];
  /** Share of each gene of all counts, above 0 for the genes of panels: `CountBase.share`. [gene vocabulary] */
  readonly share: Float64Array;
  /** How many of a cell's measured genes are hidden, 1 .. all of them. [cells] */
  readonly hidden?: Int32Array;
  /** Which genes are hidden, in place of `hidden`: ids, ascending within a cell, one at least (with `ask`: or none). */
  readonly hide?: GeneLists;
  /**
   * Which of the genes that `hide` names are asked about, each with weight 1, in place of a choice by `zeros` and `expressed`:
   * ids, ascending within a cell.
   */
  readonly ask?: GeneLists;
  /** Hidden genes with count 0 that are asked about, a cell at most; default Infinity: all. */
  readonly zeros?: number;
  /** Hidden genes with a count above 0 that are asked about, a cell at most; default Infinity: all. */
  readonly expressed?: number;
  /** Where a third of those is more than `expressed`, that third is asked about, but no more than so many; default 0. */
  readonly expressedMost?: number;
  /** Visible genes with a count above 0 that have a row, a cell at most; Infinity for all. */
  readonly evidence: number;
  /**
   * Chance of each molecule of a cell to be kept, 0..1, [cells]: counts are thinned so before anything else. Absent: all are
   * kept.
   */
  readonly thin?: Float32Array;
  /** What to summarise the visible genes with. Absent: they are not. */
  readonly summary?: SummaryPool;
  /** A whole number below 2^53. */
  readonly seed: number;
  /** A whole number below 2^44. */
  readonly step: number;
}

/** Rows of cells for the count model: of each cell cls, its evidence, its queries; ascending gene ids within both. */
export interface CountRows {
  /** Bounds of each cell's rows, [cells + 1]. */
  readonly offsets: Int32Array;
  /** Rows of a cell before its queries: cls and evidence. [cells] */
  readonly keys: Int32Array;
  /** 0 for cls, value + 2 for evidence, values + 2 (the mask token) for queries. [rows] */
  readonly tokens: Int32Array;
  /** Gene id of each row, 1 for cls. [rows] */
  readonly genes: Int32Array;
  /** As in the batch. [cells] */
  readonly cells: Float64Array;
  /** Hidden genes of each cell, those included that are hidden because there was too much evidence. [cells] */
  readonly hidden: Int32Array;
  /** Measured genes of each cell. [cells] */
  readonly measured: Int32Array;
  /** All counts of a cell's measured genes, after thinning. [cells] */
  readonly total: Float64Array;
  /** V: counts of a cell's evidence. [cells] */
  readonly visibleTotal: Float64Array;
  /** S: sum of the shares of a cell's visible genes, expressed or not. [cells] */
  readonly visibleShare: Float64Array;
  /** Sum of the shares of a cell's hidden genes: 1 - S where the cell measures all genes that have a share. [cells] */
  readonly hiddenShare: Float64Array;
  /** Value of each query's count, [queries]. */
  readonly answers: Int32Array;
  /** Count of each query's gene, after thinning, [queries]. */
  readonly counts: Int32Array;
  /** 1 / P(this gene is asked about, given the hidden ones), [queries]. */
  readonly weight: Float32Array;
  /** u: summary of each cell's visible genes, [cells, width]; where it was asked for. */
  readonly summary?: Float32Array;
}

/** The addon's functions, as they are exported. */
interface CountAddon {
  chooseQueries(
    input: ChooseQueriesInput & { readonly orders: readonly Int32Array[] },
  ): Promise<Omit<CountRows, "cells">>;
  thinCounts(batch: CountCells, keep: number, seed: number, step: number): Promise<Int32Array>;
}

/**
 * Chooses which genes of cells are hidden, and about which of these the model is asked, off the event loop. Until it has
 * ended nobody may change the arrays; `share` and the panels may never be changed once they were passed, as their order is
 * remembered.
 *
 * Hidden. Of the measured genes, n (`hidden`) are hidden, every set of n equally likely: gene g has the word g % 4 at
 * position g / 4 of the stream (seed, Purpose.hide, step, cell), and the genes of the n smallest pairs (word, g) are
 * hidden. So the hidden genes of a smaller n are hidden for a greater one, and what else is in the batch or the panel
 * changes no gene's word. With `hide` they are given.
 *
 * With `ask` the queries are given, too, each with weight 1, and a cell may hide nothing.
 *
 * Evidence. Visible genes with a count above 0. Where they are more than `evidence`, those of the smallest pairs become
 * hidden as well: they count as such in `hidden`, `visibleTotal` and the shares, and are never asked about.
 *
 * Queries. Each hidden gene, but for those, is asked about with the probability 1 / weight, so that for any f of a gene the
 * expected sum of weight * f over the queries is the sum of f over the n genes hidden by `hidden` or `hide`. (None of them
 * with a limit of 0, which leaves its genes out.) Where evidence was too much, it is the sum over those n, given the evidence
 * that was left: n / measured times the terms of a set of n of which the conditions are poorer. The mean of
 * measured / n times it is then the any-order bound for that poorer evidence: no tighter, still a bound.
 * - expressed genes: all, or `expressed` of them, those of the smallest pairs (word, g) of the stream Purpose.query; weight
 *   hidden expressed genes / queries.
 * - genes with count 0: all, or one each of `zeros` strata: by descending share they are cut into runs of sums of
 *   sqrt(share) that are as equal as can be, none empty; all genes of a run are equally likely; weight the genes of the run.
 *
 * Summary. Of the visible pooled genes, zeros too, with the (thinned) count x of a gene, its mean m = e * share at the estimated
 * depth e = (V + spread) / (S + spread / meanDepth), and f the visible pooled genes over all pooled genes:
 *
 *   u[j] = sum of r * pool[gene, j] / (f + ridge[j]),   r = (x - m) / sqrt(m + m^2 / size + 1e-3) within -5..5
 *
 * A pooled gene that the cell does not measure is like a hidden one, and so is evidence that was too much. A cell's summary is
 * the same, to the last bit, in any batch; it is 0 where all pooled genes are hidden.
 *
 * Throws `ARGUMENT_RANGE` for options out of range or not fitting the cells (they name the cell by its place in the batch),
 * `BATCH_INVALID` for a batch without counts and panels or with genes that its panel does not have.
 */
export async function chooseQueries(input: ChooseQueriesInput): Promise<CountRows> {
  checkOptions(input, { summary: "object", hide: "object", ask: "object" });
  checkKind("batch", input.batch, "object");
  checkKind("panels", input.panels, "panels");
  checkKind("share", input.share, "doubles");
  const { batch, panels, share, evidence, hidden, hide, ask, thin, summary } = input;
  const { zeros = Number.POSITIVE_INFINITY, expressed = Number.POSITIVE_INFINITY, expressedMost = 0 } = input;
  checkStream(input.seed, input.step);
  for (const [name, limit] of Object.entries({ zeros, expressed, expressedMost, evidence })) {
    if (limit !== Number.POSITIVE_INFINITY) checkWhole(name, limit, 0);
  }
  if (batch.counts === undefined || batch.panels === undefined) throw withoutCounts("counts and panels");
  // An object of this call's own: what it names cannot be exchanged while native code reads it.
  const call = {
    batch: { ...batch },
    panels: [...panels],
    orders: panels.map((panel) => orderOf(share, panel)),
    share,
    ...(hide === undefined ? { hidden } : { hide: { ...hide } }),
    ...(ask === undefined ? {} : { ask: { ...ask } }),
    ...(thin === undefined ? {} : { thin }),
    ...(summary === undefined ? {} : { summary: { ...summary } }),
    zeros,
    expressed,
    expressedMost,
    evidence,
    seed: input.seed,
    step: input.step,
  } as ChooseQueriesInput & { readonly orders: readonly Int32Array[] };
  const rows = await callAddon((addon: CountAddon) => addon.chooseQueries(call));
  return { ...rows, cells: batch.cells.slice() };
}

/**
 * Of each token's count the molecules that are kept, each with the same probability on its own (exact draws of a binomial,
 * a word of the stream (seed, Purpose.thin, step, cell) a molecule), off the event loop. [tokens]
 * Throws `ARGUMENT_RANGE`, `BATCH_INVALID`.
 */
export async function drawKeptCounts(
  batch: CountCells,
  keep: number,
  seed: number,
  step: number,
): Promise<Int32Array> {
  checkNumber("keep", keep, { min: 0, max: 1 });
  checkStream(seed, step);
  if (batch.counts === undefined) throw withoutCounts("counts");
  const cells = { ...batch };
  return callAddon((addon: CountAddon) => addon.thinCounts(cells, keep, seed, step));
}

function checkStream(seed: number, step: number): void {
  checkSeed(seed);
  checkWhole("step", step, 0, 2 ** 44 - 1);
}

function withoutCounts(what: string): DdscError {
  return new DdscError(
    "BATCH_INVALID",
    `the batch has no ${what}; make it with a tokenizer whose strategy is CountTokens`,
    { argument: "batch" },
  );
}

/** Orders that were asked for, for as long as share and panel live. */
const orders = new WeakMap<Float64Array, WeakMap<Int32Array, Int32Array>>();

/** Places of a panel's genes by descending share, of equal ones the lower id first. */
function orderOf(share: Float64Array, panel: Int32Array): Int32Array {
  const ofShare = orders.get(share) ?? new WeakMap<Int32Array, Int32Array>();
  orders.set(share, ofShare);
  let order = ofShare.get(panel);
  if (order === undefined) {
    const shares = Float64Array.from(panel, (gene) => share[gene] ?? 0);
    order = Int32Array.from(panel.keys()).sort((a, b) => (shares[b] ?? 0) - (shares[a] ?? 0) || a - b);
    ofShare.set(panel, order);
  }
  return order;
}
