import { Purpose, RandomStream } from "../../base/random.js";
import { type CellSelection, CellSelector } from "../../data/select/selection.js";
import { joinRows, rowSpans } from "../../data/sources/parts.js";
import type { CellSource } from "../../data/sources/source.js";
import { fitMarginal } from "../../evaluation/counts/fit_baselines.js";
import { answersOf, hideGenes, maskCells } from "../../evaluation/counts/masked_cells.js";
import {
  type BaselineKind,
  type CountEvaluation,
  DEFAULT_RATIOS,
  type EvaluationResult,
} from "../../evaluation/index.js";
import type { Denoiser } from "../../model/denoiser.js";
import type { ChosenCells, ChosenSource } from "../../tasks/run_cells.js";
import { type CountScoring, scoreCounts } from "../../tasks/score_counts.js";
import { scoreRanks } from "../../tasks/score_ranks.js";
import { chooseWithoutReplacement } from "../../tokenizer/choose.js";
import { emptyReport } from "../../tokenizer/index.js";
import type { GeneScore } from "../report_data.js";
import type { ReportSizes } from "./sizes.js";
import type { ShownNames } from "./texts.js";

/** How cells are scored. */
export interface ScoreOptions {
  readonly sizes: ReportSizes;
  readonly seed: number;
  /** Column of the cells' types. */
  readonly by: string | undefined;
  readonly allowFractional: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Share of the genes that are hidden where genes are scored one by one, as in the verdict. */
const HIDDEN = 0.5;
/** Cells that are predicted at a time. */
const CHUNK = 64;
/** Step of the stream `Purpose.split` by which rows are chosen, apart from those of other draws. */
const CHOICE_STEP = 2 ** 43 + 32;

/** Scores a model of counts beside the baselines, without molecular cross-validation. Throws as `scoreCounts`. */
export function scoreCountCells(
  model: Denoiser,
  { source, heldOut, training }: ChosenCells & { readonly training: ChosenSource },
  { sizes, seed, by, allowFractional, signal }: ScoreOptions,
): Promise<CountScoring> {
  return scoreCounts(model, {
    heldOut: { source, selection: heldOut },
    training,
    ratios: DEFAULT_RATIOS,
    thin: 0,
    heldOutCells: sizes.cells,
    trainingCells: sizes.training,
    ...{ seed, by, allowFractional, signal },
  });
}

/** Scores of a model of ranks, and the rows of the cells. */
export interface RankScoring {
  readonly evaluation: EvaluationResult;
  readonly rows: Int32Array;
}

/** Scores a model of ranks on some held-out cells beside the baselines. Throws as `scoreRanks`. */
export async function scoreRankCells(
  model: Denoiser,
  { source, heldOut, training }: ChosenCells,
  { sizes, seed, by, signal }: ScoreOptions,
): Promise<RankScoring> {
  const rows = await someRows({ source, selection: heldOut }, sizes.cells, seed, signal);
  const evaluation = await scoreRanks(model, {
    heldOut: { source, selection: { rows } },
    training:
      training === undefined
        ? undefined
        : { ...training, selection: { rows: await someRows(training, sizes.training, seed + 1, signal) } },
    ratios: DEFAULT_RATIOS,
    maxTokens: undefined,
    batchCells: undefined,
    onProgress: undefined,
    ...{ seed, by, signal, report: emptyReport() },
  });
  return { evaluation, rows };
}

/** Rows of some cells of a selection, ascending, drawn by the seed. */
export async function someRows(
  { source, selection }: { readonly source: CellSource; readonly selection: CellSelection },
  most: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  const selector = await CellSelector.create(source, selection);
  const found: Int32Array[] = [];
  for (const span of rowSpans(source.partBounds)) {
    signal?.throwIfAborted();
    found.push(await selector.rows(span));
  }
  const all = joinRows(found);
  if (all.length <= most) return all;
  const random = new RandomStream(seed, Purpose.split, CHOICE_STEP);
  return chooseWithoutReplacement(all.length, most, random).map((place) => all[place] as number);
}

/** Whether a model of ranks beats the best baseline in accuracy with half of the tokens masked, in words. */
export function rankVerdict({ ratios, baselines }: EvaluationResult): { sentence: string; beaten?: boolean } {
  const ratio = ratios[String(HIDDEN)] === undefined ? (Object.keys(ratios)[0] ?? "") : String(HIDDEN);
  const own = ratios[ratio]?.maskedAccuracy ?? 0;
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  const head = `With ${percent(Number(ratio)).replace(".0", "")} of the ranks masked the model gets ${percent(own)} of them right`;
  const rivals = Object.entries(baselines).flatMap(([kind, scores]) => {
    const accuracy = scores?.ratios[ratio]?.maskedAccuracy;
    return accuracy === undefined ? [] : [{ kind: kind as BaselineKind, accuracy }];
  });
  const best = rivals.reduce<(typeof rivals)[number] | undefined>(
    (most, each) => (most === undefined || each.accuracy > most.accuracy ? each : most),
    undefined,
  );
  if (best === undefined) {
    return {
      sentence: `${head}; without training cells at hand there is no baseline to say whether that is much.`,
    };
  }
  const beaten = own > best.accuracy;
  const says = beaten ? "and beats" : "and does not beat";
  return {
    sentence: `${head} ${says} the best baseline, ${RANK_BASELINES[best.kind]}, which gets ${percent(best.accuracy)} (no interval: accuracy is counted over tokens, not resampled over cells).`,
    beaten,
  };
}

const RANK_BASELINES: Readonly<Record<BaselineKind, string>> = {
  globalMode: "the most frequent rank",
  geneMode: "each gene's most frequent rank",
  geneMarginal: "each gene's distribution of ranks",
};

/** An evaluation whose groups have names that can be shown. */
export function withShownGroups<E extends CountEvaluation | EvaluationResult>(
  evaluation: E,
  names: ShownNames,
): E {
  const { groups } = evaluation;
  if (groups === undefined) return evaluation;
  const shown = Object.entries(groups).map(([label, scores]) => [names.of(label), scores] as const);
  return { ...evaluation, groups: Object.fromEntries(shown) };
}

/** Nats of each gene with half of the genes hidden, of the model and of the gene marginal, by descending difference. */
export async function scoreGenes(
  model: Denoiser,
  { cells, training, predictor }: CountScoring,
  {
    seed,
    signal,
    names,
  }: { readonly seed: number; readonly signal: AbortSignal | undefined; readonly names: ShownNames },
): Promise<readonly GeneScore[]> {
  const { base } = predictor;
  const marginal = await fitMarginal(training, base, { ratio: HIDDEN, seed });
  const hidden = hideGenes(cells, HIDDEN, seed);
  const ids = base.share.length;
  const sums = { model: new Float64Array(ids), baseline: new Float64Array(ids) };
  const times = new Int32Array(ids);
  const expressed = new Int32Array(ids);
  for (let first = 0; first < cells.panels.length; first += CHUNK) {
    signal?.throwIfAborted();
    const masked = maskCells(cells, hidden, first, Math.min(cells.panels.length, first + CHUNK), base);
    const answers = answersOf(cells, masked);
    const said = {
      model: await predictor.predict(masked, answers, signal),
      baseline: await marginal.predict(masked, answers, signal),
    };
    for (const [query, gene] of masked.queries.genes.entries()) {
      times[gene] = (times[gene] ?? 0) + 1;
      if ((answers[query] ?? 0) > 0) expressed[gene] = (expressed[gene] ?? 0) + 1;
      for (const of of ["model", "baseline"] as const)
        sums[of][gene] = (sums[of][gene] ?? 0) - (said[of].logProbability[query] ?? 0);
    }
  }
  return Array.from(times.entries())
    .filter(([, count]) => count > 0)
    .map(([gene, count]) => ({
      gene: names.of(model.vocabulary.token(gene) ?? String(gene)),
      model: (sums.model[gene] ?? 0) / count,
      baseline: (sums.baseline[gene] ?? 0) / count,
      expressed: expressed[gene] ?? 0,
    }))
    .sort((a, b) => b.model - b.baseline - (a.model - a.baseline));
}
