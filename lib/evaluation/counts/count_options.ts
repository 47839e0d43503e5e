import { checkKind, checkOptions } from "../../base/arguments.js";
import { checkNumber, checkWhole, DdscError } from "../../base/errors.js";
import { alone, type Cluster } from "../../cluster/cluster.js";
import { RESAMPLES, THIN } from "../defaults.js";
import {
  type CountBase,
  type CountCells,
  cellCount,
  checkBase,
  checkCells,
  measuredGenes,
} from "./count_cells.js";
import type { HiddenGenes } from "./masked_cells.js";
import type { CountDenoiser, CountPredictor } from "./predictor.js";

/** What `evaluateCounts` compares, and on what. */
export interface EvaluateCountsOptions {
  /** The model, told the cells' conditions where it has any. */
  readonly model: CountPredictor;
  /** The model without conditions, where it has any. */
  readonly withoutConditions?: CountPredictor;
  /** The model as a denoiser, for molecular cross-validation; without it, only baselines take part. */
  readonly denoiser?: CountDenoiser;
  /** The cells to score. Their labels are their types, which the type mean is told. */
  readonly heldOut: CountCells;
  /** A sample of the training cells, for baselines and for what has to be chosen; 10,000 are enough. */
  readonly training: CountCells;
  /** Shares, sizes and depth of the training cells. */
  readonly base: CountBase;
  /** Hidden genes of the held-out cells by share hidden, written as a number ("0.5"). */
  readonly masks: Readonly<Record<string, HiddenGenes>>;
  /** Chance of a molecule to be tested on; default 0.1. Null: no molecular cross-validation. */
  readonly thin?: number | null;
  /** Whether to give the two numbers of Open Problems; default false. */
  readonly openProblems?: boolean;
  /** Group of each held-out cell to score by; undefined for none. Default: no groups. */
  readonly groups?: readonly (string | undefined)[];
  /** Resamples of cells for intervals; default 1,000. */
  readonly resamples?: number;
  /** Whole number below 2^53 - 1; default 0. */
  readonly seed?: number;
  /** The processes that share the cells, each with the same other options: what `joinCluster` gave. Default this one alone. */
  readonly cluster?: Cluster;
  readonly signal?: AbortSignal;
}

/** What `EvaluateCountsOptions` need not say, with defaults filled in. */
export interface CheckedCountOptions {
  /** The shares hidden, as text and number, ascending. */
  readonly ratios: ReadonlyMap<string, number>;
  /** Undefined: no molecular cross-validation. */
  readonly thin: number | undefined;
  readonly openProblems: boolean;
  readonly resamples: number;
  readonly seed: number;
  readonly cluster: Cluster;
}

/** Checks what was given, and fills in defaults. */
export function checkCountOptions(options: EvaluateCountsOptions): CheckedCountOptions {
  checkOptions(options, { openProblems: "switch", groups: "list", cluster: "object", signal: "signal" });
  const { model, withoutConditions, denoiser, heldOut, training, base, masks } = options;
  checkBase(base);
  checkCells("heldOut", heldOut, base);
  checkCells("training", training, base);
  checkKind("model", model, "object");
  checkKind("model.predict", model.predict, "function");
  if (withoutConditions !== undefined) {
    checkKind("withoutConditions", withoutConditions, "object");
    checkKind("withoutConditions.predict", withoutConditions.predict, "function");
  }
  if (denoiser !== undefined) {
    checkKind("denoiser", denoiser, "object");
    checkKind("denoiser.denoise", denoiser.denoise, "function");
  }
  const { thin = THIN, groups, openProblems = false, cluster = alone } = options;
  const checked = {
    thin: thin === null ? undefined : checkNumber("thin", thin, { min: 0.001, max: 0.999 }),
    seed: checkWhole("seed", options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER - 1),
    resamples: checkWhole("resamples", options.resamples ?? RESAMPLES, 20, 100_000),
  };
  if (cellCount(heldOut) === 0 || cellCount(training) < 2) {
    throw new DdscError(
      "EVALUATION_EMPTY",
      `${cellCount(heldOut)} held-out and ${cellCount(training)} training cells; hold out at least one cell and give at least two to fit baselines on`,
      { argument: cellCount(heldOut) === 0 ? "heldOut" : "training" },
    );
  }
  if (groups !== undefined && groups.length !== cellCount(heldOut)) {
    throw new DdscError(
      "ARGUMENT_RANGE",
      `expected a group for each of the ${cellCount(heldOut)} held-out cells for groups but received ${groups.length}`,
      { argument: "groups" },
    );
  }
  return { ...checked, ratios: checkMasks(masks, heldOut), openProblems, cluster };
}

function checkMasks(
  masks: Readonly<Record<string, HiddenGenes>>,
  heldOut: CountCells,
): ReadonlyMap<string, number> {
  checkKind("masks", masks, "object");
  const ratios = Object.keys(masks).map(
    (text) => [text, checkNumber("masks", Number(text), { min: 1e-6, max: 1 })] as const,
  );
  for (const [text] of ratios) {
    checkKind(`masks.${text}`, masks[text], "object");
    const { offsets, genes } = masks[text] as HiddenGenes;
    checkKind(`masks.${text}.offsets`, offsets, "rows");
    checkKind(`masks.${text}.genes`, genes, "rows");
    let good =
      offsets.length === cellCount(heldOut) + 1 && offsets[0] === 0 && offsets.at(-1) === genes.length;
    for (let cell = 0; good && cell + 1 < offsets.length; cell++) {
      good =
        ascendingPart(genes, offsets, cell) && endsWithin(measuredGenes(heldOut, cell), genes, offsets, cell);
    }
    if (!good) {
      throw new DdscError(
        "ARGUMENT_RANGE",
        `expected measured genes, ascending in each of the ${cellCount(heldOut)} held-out cells, for masks ${text}`,
        { argument: "masks" },
      );
    }
  }
  if (ratios.some(([text]) => (masks[text] as HiddenGenes).genes.length === 0) || ratios.length === 0) {
    throw new DdscError(
      "EVALUATION_EMPTY",
      "no gene is hidden, so there is nothing to predict; hide some genes at every share",
      { argument: "masks" },
    );
  }
  return new Map(ratios.sort((a, b) => a[1] - b[1]));
}

function ascendingPart(genes: Int32Array, offsets: Int32Array, cell: number): boolean {
  for (let i = (offsets[cell] as number) + 1; i < (offsets[cell + 1] as number); i++) {
    if ((genes[i] as number) <= (genes[i - 1] as number)) return false;
  }
  return true;
}

/** Whether the first and last hidden genes are within the panel's; the rest is checked as cells are masked. */
function endsWithin(measured: Int32Array, genes: Int32Array, offsets: Int32Array, cell: number): boolean {
  const from = offsets[cell] as number;
  const to = offsets[cell + 1] as number;
  if (from === to) return true;
  return (
    (genes[from] as number) >= (measured[0] as number) &&
    (genes[to - 1] as number) <= (measured.at(-1) as number)
  );
}
