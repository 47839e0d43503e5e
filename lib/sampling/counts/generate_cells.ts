import { checkOptions } from "../../base/arguments.js";
import { gamma } from "../../base/count_draws.js";
import { checkWhole, DdscError } from "../../base/errors.js";
import { Purpose, RandomStream } from "../../base/random.js";
import { didYouMean } from "../../base/suggest.js";
import { type Condition, labelNumber, scaledNumber } from "../../conditions/condition.js";
import type { CountBase } from "../../counts/count_base.js";
import type { DepthSample, WantedConditions } from "../../counts/depth_sample.js";
import { SPECIAL_GENES } from "../../tokenizer/ragged_batch.js";
import type { GeneVocabulary } from "../../tokenizer/vocabulary.js";
import { findGenes } from "../find_genes.js";
import { type CompletedCells, completeCells } from "./complete.js";
import { type CountSamplingModel, requireBase } from "./model.js";
import { type CountSamplingOptions, WHOLE_CELL_GUIDANCE } from "./options.js";

/** What generating cells needs of a model; `Denoiser` has it all. */
export interface GeneratingModel extends CountSamplingModel {
  readonly vocabulary: GeneVocabulary;
  /** Depths and conditions of training cells; absent: depths are of a Gamma distribution. */
  readonly depths: DepthSample | undefined;
}

/** What a cell is to be like. */
export interface CellTemplate {
  /** Total counts of the whole cell, over all genes that the model knows. */
  readonly total: number;
  /** Label + 1, or 0 for none, [label conditions]. */
  readonly labels: Int32Array;
  /** In standard units, or NaN for none, [number conditions]. */
  readonly numbers: Float32Array;
  /** Ids of the genes that are wanted of it, ascending. */
  readonly genes: Int32Array;
}

/** What cells are generated like, in place of the training cells: one template for each index of a cell. */
export type TemplateOf = (cell: number) => CellTemplate;

/** Options of `generateCells`. */
export interface GenerateCellsOptions extends CountSamplingOptions {
  /** Number of cells. */
  readonly cells: number;
  /**
   * Conditions of all cells: labels, or numbers in the units of the data; null: the model is told none. Conditions that are not
   * named are drawn, with the depth, as they are in the training cells.
   */
  readonly conditions?: Readonly<Record<string, string | number | null>>;
  /** Total counts of each cell over all genes that the model knows; default as deep as the training cells of these conditions. */
  readonly depth?: number;
  /** Genes that are wanted of the cells, vocabulary ids or names; default all that the model knows. */
  readonly genes?: Int32Array | readonly (number | string)[];
  /** What each cell is like, in place of `conditions`, `depth` and `genes`. */
  readonly like?: TemplateOf;
  /** Cells drawn at a time; default 64. */
  readonly batch?: number;
  /** Global index of the first cell; with the seed it names the random numbers. Default 0. */
  readonly firstCell?: number;
}

/** Some generated cells. */
export interface GeneratedCellBlock extends CompletedCells {
  /** What each cell was to be like, [cells]. */
  readonly templates: readonly CellTemplate[];
}

const DEFAULT_BATCH = 64;

/**
 * Draws whole cells from a model of counts, some at a time: their conditions and depth as asked for or as in the training cells,
 * then every gene, of which those that are wanted are given. A cell depends on seed and index alone, not on `batch`, nor on what is
 * wanted of it.
 *
 * Throws `MODEL_VALUES`, `MODEL_BASE`, `ARGUMENT_*`, `GENE_UNKNOWN`, `GENE_DUPLICATE`, `CONDITION_UNKNOWN` for a condition that the model does
 * not have, `CONDITION_LABEL_UNKNOWN`, `CONDITION_NUMBER`, `MODEL_NOT_FINITE`; rejects with the signal's reason when aborted.
 */
export async function* generateCells(
  model: GeneratingModel,
  options: GenerateCellsOptions,
): AsyncGenerator<GeneratedCellBlock> {
  const base = requireBase(model);
  checkOptions(options, { conditions: "object", like: "function", signal: "signal" });
  const cells = checkWhole("cells", options.cells, 1, 2 ** 31 - 1);
  const batch = checkWhole("batch", options.batch ?? DEFAULT_BATCH, 1, 65_536);
  const first = checkWhole("firstCell", options.firstCell ?? 0, 0, 2 ** 44 - cells);
  const { like = templatesOf(model, base, options), evidenceGuidance = WHOLE_CELL_GUIDANCE } = options;
  const sampling = { ...options, evidenceGuidance };
  const known = knownGenes(model, base);
  for (let start = 0; start < cells; start += batch) {
    options.signal?.throwIfAborted();
    const size = Math.min(batch, cells - start);
    const templates = Array.from({ length: size }, (_, i) => like(first + start + i));
    const whole = await completeCells(model, emptyCells(templates, first + start, known), sampling);
    yield { ...wantedOf(whole, templates), templates };
  }
}

/**
 * Cells of which nothing is known yet. All genes are drawn, whichever are wanted: few genes alone, of one program say, are unlike all
 * that the model has learnt from, and what it makes of its own draws of them runs away.
 */
function emptyCells(templates: readonly CellTemplate[], first: number, known: Int32Array) {
  const panels: Int32Array[] = [];
  const numbers = new Map<Int32Array, number>();
  const panelOf = Int32Array.from(templates, ({ genes }) => {
    const seen = numbers.get(genes);
    if (seen !== undefined) return seen;
    numbers.set(genes, panels.length);
    return panels.push(Int32Array.from(new Set([...known, ...genes])).sort()) - 1;
  });
  const drawn = Array.from(panelOf, (panel) => panels[panel] ?? known);
  const offsets = new Int32Array(templates.length + 1);
  for (const [cell, { length }] of drawn.entries()) offsets[cell + 1] = (offsets[cell] ?? 0) + length;
  return {
    visible: {
      offsets: new Int32Array(templates.length + 1),
      genes: new Int32Array(0),
      counts: new Int32Array(0),
      cells: Float64Array.from(templates, (_, i) => first + i),
      panels: panelOf,
    },
    panels,
    hidden: { offsets, genes: joined(drawn, Int32Array) },
    conditions: {
      labels: joined(
        templates.map(({ labels }) => labels),
        Int32Array,
      ),
      numbers: joined(
        templates.map(({ numbers: own }) => own),
        Float32Array,
      ),
    },
    total: Float32Array.from(templates, ({ total }) => total),
  };
}

/** Of whole cells the genes that are wanted. */
function wantedOf(cells: CompletedCells, templates: readonly CellTemplate[]): CompletedCells {
  const wanted = new Map<Int32Array, ReadonlySet<number>>();
  const offsets = new Int32Array(templates.length + 1);
  const [genes, counts] = [new Int32Array(cells.genes.length), new Int32Array(cells.genes.length)];
  let next = 0;
  for (const [cell, template] of templates.entries()) {
    const known = wanted.get(template.genes) ?? new Set(template.genes);
    wanted.set(template.genes, known);
    for (let i = cells.offsets[cell] ?? 0; i < (cells.offsets[cell + 1] ?? 0); i++) {
      if (!known.has(cells.genes[i] ?? 0)) continue;
      genes[next] = cells.genes[i] ?? 0;
      counts[next++] = cells.counts[i] ?? 0;
    }
    offsets[cell + 1] = next;
  }
  return { offsets, genes: genes.slice(0, next), counts: counts.slice(0, next) };
}

function joined<T extends Int32Array | Float32Array>(parts: readonly T[], Kind: new (size: number) => T): T {
  const all = new Kind(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Cells like the training cells of the conditions that are asked for. */
function templatesOf(model: GeneratingModel, base: CountBase, options: GenerateCellsOptions): TemplateOf {
  const { conditions = {}, depth, seed = 0 } = options;
  if (depth !== undefined) checkWhole("depth", depth, 1, 2 ** 31 - 1);
  const genes =
    options.genes === undefined ? knownGenes(model, base) : findGenes(model, options.genes).sort();
  const wanted = wantedConditions(model.conditions, conditions);
  const matching = model.depths?.matching(wanted) ?? new Int32Array(0);
  return (cell) => {
    const random = new RandomStream(seed, Purpose.simulate, 0, cell);
    const like = matching.length === 0 ? undefined : (matching[random.below(matching.length)] ?? 0);
    const own =
      (like === undefined ? undefined : model.depths?.depth[like]) ??
      (gamma(random, base.spread) * base.meanDepth) / base.spread;
    return {
      total: depth ?? Math.max(1, Math.round(own)),
      labels: Int32Array.from(wanted.labels, (label, i) => {
        if (label !== undefined) return label;
        return like === undefined ? 0 : (model.depths?.told.labels[like * wanted.labels.length + i] ?? 0);
      }),
      numbers: Float32Array.from(wanted.numbers, (number, i) => {
        if (number !== undefined) return number;
        if (like === undefined) return Number.NaN;
        return model.depths?.told.numbers[like * wanted.numbers.length + i] ?? Number.NaN;
      }),
      genes,
    };
  };
}

/** Ids of all genes of the model, ascending. */
export function knownGenes({ vocabulary }: Pick<GeneratingModel, "vocabulary">, base: CountBase): Int32Array {
  const ids = vocabulary.entries
    .map(({ id }) => id)
    .filter((id) => id >= SPECIAL_GENES.length && (base.share[id] ?? 0) > 0);
  return Int32Array.from(ids).sort();
}

/** What the network is told for conditions by name. */
function wantedConditions(
  known: readonly Condition[],
  asked: Readonly<Record<string, string | number | null>>,
): WantedConditions {
  for (const name of Object.keys(asked)) {
    const names = known.map((condition) => condition.name);
    if (names.includes(name)) continue;
    throw new DdscError(
      "CONDITION_UNKNOWN",
      names.length === 0
        ? `the model has no conditions, so ${name} cannot be asked for; train it with --condition ${name}`
        : `the model has no condition "${name}"${didYouMean(name, names)}; it has ${names.join(", ")}`,
      { argument: "conditions" },
    );
  }
  const labels: (number | undefined)[] = [];
  const numbers: (number | undefined)[] = [];
  for (const condition of known) {
    const value = Object.hasOwn(asked, condition.name) ? asked[condition.name] : undefined;
    if (condition.kind === "labels")
      labels.push(value === undefined ? undefined : labelTold(condition, value));
    else numbers.push(value === undefined ? undefined : numberTold(condition, value));
  }
  return { labels, numbers };
}

function labelTold(condition: Extract<Condition, { kind: "labels" }>, value: string | number | null): number {
  return value === null ? 0 : labelNumber(condition, String(value));
}

function numberTold(
  condition: Extract<Condition, { kind: "number" }>,
  value: string | number | null,
): number {
  if (value === null) return Number.NaN;
  const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
  if (typeof value === "number" || !Number.isNaN(number)) return scaledNumber(condition, number);
  throw new DdscError(
    "CONDITION_NUMBER",
    `${condition.name}: ${JSON.stringify(value)} is no number; give one`,
    {
      argument: condition.name,
    },
  );
}
