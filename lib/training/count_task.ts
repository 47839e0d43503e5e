import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { type RaggedBatch, type Share, splitBatch, WHOLE } from "../batching/index.js";
import type { BatchLimit } from "../batching/limit.js";
import { type CellConditions, happens } from "../conditions/cell_conditions.js";
import { networkRows } from "../counts/network_rows.js";
import type { Denoiser } from "../model/denoiser.js";
import { type ChooseQueriesInput, chooseQueries } from "../native/counts.js";
import type { NativeCountLossInput } from "../native/types.js";
import { CountTokens } from "../tokenizer/index.js";
import { expressedLimits, type QuerySettings } from "./options.js";
import { type OtherCells, placesOf, sharesOf } from "./ranks/share.js";
import type { LossInputs, StepInput, TrainingTask } from "./task.js";

/** What a training on counts knows of its cells and its model. */
export interface CountTaskOptions {
  /** With its base. */
  readonly model: Pick<Denoiser, "base" | "summaryInput">;
  /** Of the source's cells, by row. */
  readonly conditions: CellConditions;
  /** Gene ids that are measured, by panel. */
  readonly panels: readonly Int32Array[];
  /** Tokens of a cell's evidence at most, cls included. */
  readonly maxLength: number;
  readonly queries: QuerySettings;
}

const values = new CountTokens();

/** Hidden genes that a validation asks about, at most: more than a step, for its noise is not to be averaged away. */
const VALIDATION_LIMITS = { zeros: 128, expressed: 256 };

/**
 * Hides genes of whole cells, and learns to give their counts. Of a cell's measured genes n are hidden, spread over the cells of a
 * step; of these all expressed ones (up to a bound) and some of the zeros are asked about, weighted so that the loss stays that of
 * all of them. Where n is uniform on 1..measured, as in validation, that is the any-order bound; in training most of a cell is
 * hidden more often (`QuerySettings.mostlyHidden`), for that is where a generated cell begins, and each n learns its own answers.
 */
export class CountTask implements TrainingTask {
  readonly #options: CountTaskOptions;

  constructor(options: CountTaskOptions) {
    this.#options = options;
  }

  async stepInput(
    batches: readonly RaggedBatch[],
    names: { readonly seed: number; readonly step: number },
    others: readonly OtherCells[] = [],
  ): Promise<StepInput> {
    const { zeros, thinning, mostlyHidden, totalGiven, conditionDrop } = this.#options.queries;
    const limits = { zeros, ...expressedLimits(this.#options.queries) };
    const draws = { ...names, limits, thinning, mostlyHidden, totalGiven, conditionDrop };
    return { step: names.step, ...(await this.#inputs(batches, draws, others)) };
  }

  async validationInputs(
    cells: RaggedBatch,
    {
      limit,
      seed,
      share = WHOLE,
    }: { readonly limit: BatchLimit; readonly seed: number; readonly share?: Share },
  ): Promise<LossInputs> {
    const whole = {
      limits: VALIDATION_LIMITS,
      thinning: 0,
      mostlyHidden: 1,
      totalGiven: 0,
      conditionDrop: 0,
    };
    const { batches, others } = sharesOf(splitBatch(cells, limit), share);
    return this.#inputs(batches, { seed, step: 0, ...whole }, others);
  }

  async #inputs(
    batches: readonly RaggedBatch[],
    draws: Draws,
    others: readonly OtherCells[],
  ): Promise<LossInputs> {
    const { places, cellCount } = placesOf(batches, others);
    // One number for all cells: they are evenly spread, and still uniform for each cell.
    const shared = new RandomStream(draws.seed, Purpose.time, draws.step).uniform();
    const inputs: NativeCountLossInput[] = [];
    let constant = 0;
    let tokens = 0;
    for (const [i, batch] of batches.entries()) {
      if (batch.cells.length === 0) continue;
      let place = places[i] ?? 0;
      const uniforms = Float64Array.from(batch.cells, () => (shared + place++ / cellCount) % 1);
      const made = await this.#input(batch, uniforms, draws);
      inputs.push(made.input);
      constant += made.constant;
      tokens += made.input.rows.tokens.length;
    }
    return { inputs, divisor: cellCount, constant, tokens };
  }

  async #input(
    batch: RaggedBatch,
    uniforms: Float64Array,
    draws: Draws,
  ): Promise<{ readonly input: NativeCountLossInput; readonly constant: number }> {
    const { model, conditions, panels, maxLength } = this.#options;
    const { base, summaryInput } = model;
    if (base === undefined) throw noBase();
    const { seed, step } = draws;
    const measured = (cell: number) => panels[batch.panels?.[cell] ?? 0]?.length ?? 0;
    const hidden = Int32Array.from(uniforms, (uniform, cell) =>
      hiddenGenes(uniform, draws.mostlyHidden, measured(cell)),
    );
    const chosen = await chooseQueries({
      batch,
      panels,
      share: base.share,
      hidden,
      ...draws.limits,
      evidence: maxLength - 1,
      ...thinningOf(batch, draws),
      ...(summaryInput === undefined ? {} : { summary: summaryInput }),
      seed,
      step,
    });
    const told = conditions.of(batch.cells, { chance: draws.conditionDrop, seed, step });
    const isTotalGiven = (cell: number) =>
      happens(new RandomStream(seed, Purpose.drop, step, batch.cells[cell]), 0, draws.totalGiven);
    const total = Float32Array.from(chosen.total, (value, cell) => (isTotalGiven(cell) ? value : Number.NaN));
    const rows = networkRows(chosen, base, { ...told, total });
    // The bound: measured / hidden times the sum over the hidden, divided by measured.
    const weight = new Float32Array(chosen.weight.length);
    let constant = 0;
    let query = 0;
    for (let cell = 0; cell < batch.cells.length; cell++) {
      const length = (rows.offsets[cell + 1] ?? 0) - (rows.offsets[cell] ?? 0) - (rows.keys[cell] ?? 0);
      for (const end = query + length; query < end; query++) {
        const factor = (chosen.weight[query] ?? 0) / (hidden[cell] ?? 1);
        weight[query] = factor;
        constant += factor * (values.logWidth[chosen.answers[query] ?? 0] ?? 0);
      }
    }
    return { input: { rows, answers: chosen.answers, weight }, constant };
  }
}

function noBase(): DdscError {
  return new DdscError(
    "MODEL_BASE",
    "the model has no shares and sizes of genes yet: Trainer.fit counts them",
    {
      argument: "model",
    },
  );
}

/** What is drawn for a step's cells. */
interface Draws extends Pick<QuerySettings, "thinning" | "mostlyHidden" | "totalGiven" | "conditionDrop"> {
  /** How many genes are asked about, a cell. */
  readonly limits: Pick<ChooseQueriesInput, "zeros" | "expressed" | "expressedMost">;
  readonly seed: number;
  readonly step: number;
}

/** How many of a cell's measured genes are hidden, for u in [0, 1): see `QuerySettings.mostlyHidden`. */
function hiddenGenes(uniform: number, mostlyHidden: number, measured: number): number {
  // The power of a u close to 1 may round to 0.
  const share = Math.min(1 - (1 - uniform) ** mostlyHidden, 1 - 2 ** -40);
  return 1 + Math.floor(share * measured);
}

/** Share of the cells that are thinned where thinning is on. */
const THINNED = 0.5;

/** How much of each cell's molecules is kept: some cells lose up to a share of them, evenly drawn. */
function thinningOf(batch: RaggedBatch, { thinning, seed, step }: Draws): { readonly thin?: Float32Array } {
  if (thinning <= 0) return {};
  return {
    thin: Float32Array.from(batch.cells, (cell) => {
      const stream = new RandomStream(seed, Purpose.drop, step, cell);
      const [chance, share] = [stream.uniformAt(1024), stream.uniformAt(1025)];
      return chance < THINNED ? 1 - thinning * share : 1;
    }),
  };
}
