import { tokenizeRows } from "../../batching/index.js";
import { CellConditions } from "../../conditions/cell_conditions.js";
import type { CellSource } from "../../data/sources/source.js";
import { measuredGenes, totalCounts } from "../../evaluation/counts/count_cells.js";
import { hideGenes } from "../../evaluation/counts/masked_cells.js";
import { maskedRows } from "../../evaluation/masking.js";
import type { Denoiser } from "../../model/denoiser.js";
import { requireBase } from "../../sampling/counts/model.js";
import { maskToken } from "../../sampling/denoising_model.js";
import { completionSteps, sampleSteps } from "../../sampling/index.js";
import type { CountScoring } from "../../tasks/score_counts.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../../tokenizer/ragged_batch.js";
import type { FillingPart } from "../report_data.js";
import { evenly } from "./sizes.js";
import type { ShownNames } from "./texts.js";

/** Steps in which a cell is filled in. */
const STEPS = 24;
/** Genes that are shown, at most. */
const MOST_GENES = 120;
/** Share of the genes that is hidden. */
const HIDDEN = 0.5;

/** How cells are filled in. */
export interface FillingOptions {
  readonly seed: number;
  readonly names: ShownNames;
  readonly signal: AbortSignal | undefined;
}

/** A cell that is filled in from a half of its genes, and one that is drawn from nothing. */
export interface Fillings {
  readonly filling: FillingPart;
  readonly generation: FillingPart;
}

/**
 * Fills in the scored cell of the median total, half of its genes hidden, and draws a whole cell of its conditions and total, step by
 * step; of both the genes of most molecules in the training cells are shown.
 */
export async function fillCountCell(
  model: Denoiser,
  source: CellSource,
  { cells, rows }: CountScoring,
  { seed, names, signal }: FillingOptions,
): Promise<Fillings> {
  const totals = totalCounts(cells);
  const order = Array.from(totals.keys()).sort((a, b) => (totals[a] ?? 0) - (totals[b] ?? 0) || a - b);
  const cell = order[order.length >> 1] ?? 0;
  const total = totals[cell] ?? 0;
  const measured = measuredGenes(cells, cell);
  const { share } = requireBase(model);
  const shown = Array.from(measured)
    .sort((a, b) => (share[b] ?? 0) - (share[a] ?? 0) || a - b)
    .slice(0, MOST_GENES);
  const truth = new Map<number, number>();
  for (let i = cells.offsets[cell] ?? 0; i < (cells.offsets[cell + 1] ?? 0); i++)
    truth.set(cells.genes[i] ?? 0, cells.counts[i] ?? 0);
  const all = hideGenes(cells, HIDDEN, seed);
  const half = all.genes.slice(all.offsets[cell], all.offsets[cell + 1]);
  const row = rows[cell] ?? 0;
  const told = (await CellConditions.read(source, model.conditions)).of(Float64Array.of(row));
  const trace = async (hidden: Int32Array, depth: number) => {
    const isHidden = new Set(hidden);
    const evidence = Array.from(truth).filter(([gene]) => !isHidden.has(gene));
    const steps = completionSteps(
      model,
      {
        visible: {
          offsets: Int32Array.of(0, evidence.length),
          genes: Int32Array.from(evidence, ([gene]) => gene),
          counts: Int32Array.from(evidence, ([, count]) => count),
          cells: Float64Array.of(row),
          panels: Int32Array.of(0),
        },
        panels: [measured],
        hidden: { offsets: Int32Array.of(0, hidden.length), genes: hidden },
        conditions: told,
        total: Float32Array.of(depth),
      },
      {
        sampler: { kind: "parallel", steps: STEPS, schedule: "linear" },
        seed,
        ...(signal === undefined ? {} : { signal }),
      },
    );
    const revealedAt = new Map<number, number>();
    let left: ReadonlySet<number> = isHidden;
    let values = new Map<number, number>();
    let last = 0;
    for await (const { step, hiddenGenes, genes, counts } of steps) {
      const now = new Set(hiddenGenes.genes);
      for (const gene of left) if (!now.has(gene)) revealedAt.set(gene, step);
      left = now;
      values = new Map(Array.from(genes, (gene, i) => [gene, counts[i] ?? 0]));
      last = step;
    }
    return {
      kind: "counts" as const,
      genes: shown.map((gene) => names.of(model.vocabulary.token(gene) ?? String(gene))),
      steps: last,
      revealedAt: shown.map((gene) => revealedAt.get(gene) ?? 0),
      values: shown.map((gene) => values.get(gene) ?? 0),
    };
  };
  return {
    filling: {
      ...(await trace(half, Number.NaN)),
      title: "A held-out cell, half of its genes hidden, filled in step by step",
      truth: shown.map((gene) => truth.get(gene) ?? 0),
    },
    generation: {
      ...(await trace(measured, total)),
      title: "A cell generated step by step from nothing but a total and what it is to be",
    },
  };
}

/** Of a model of ranks: a held-out cell with half of its ranks masked, and with all of them. */
export async function fillRankCell(
  model: Denoiser,
  source: CellSource,
  rows: Int32Array,
  { seed, names, signal }: FillingOptions,
): Promise<Fillings | undefined> {
  const { batch: found } = await tokenizeRows(source, model.tokenizer, rows.slice(0, 1));
  if (found.cells.length === 0) return undefined;
  const mask = maskToken(model);
  const ranked = Array.from(found.tokens.keys()).filter((at) => (found.tokens[at] ?? 0) >= FIRST_RANK_TOKEN);
  const shown = evenly(ranked, MOST_GENES);
  const trace = async (hidden: Iterable<number>) => {
    const tokens = found.tokens.slice();
    for (const at of hidden) tokens[at] = mask;
    const batch: RaggedBatch = { ...found, tokens };
    const revealedAt = new Map<number, number>();
    let now: Int32Array = tokens;
    let last = 0;
    const steps = sampleSteps(model, batch, {
      sampler: { kind: "first-hitting", steps: STEPS, schedule: "linear" },
      seed,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const { step, tokens: next } of steps) {
      for (const [at, token] of next.entries())
        if (token !== mask && now[at] === mask) revealedAt.set(at, step);
      now = next;
      last = step;
    }
    return {
      kind: "ranks" as const,
      genes: shown.map((at) => names.of(model.vocabulary.token(found.genes[at] ?? 0) ?? String(at))),
      steps: last,
      revealedAt: shown.map((at) => revealedAt.get(at) ?? 0),
      values: shown.map((at) => (now[at] ?? 0) - FIRST_RANK_TOKEN),
    };
  };
  const [half = new Int32Array(0)] = maskedRows(found, HIDDEN, seed);
  const truth = shown.map((at) => (found.tokens[at] ?? 0) - FIRST_RANK_TOKEN);
  return {
    filling: {
      ...(await trace(half)),
      title: "A held-out cell, half of its ranks masked, filled in step by step",
      truth,
    },
    generation: {
      ...(await trace(ranked)),
      title: "Ranks generated step by step from nothing but which genes are expressed",
    },
  };
}
