import { checkKind } from "../base/arguments.js";
import { wrongType } from "../base/errors.js";
import { FEW_NOTE, intervalText, numberText } from "../evaluation/number_texts.js";
import { type ResultTable, resultText } from "../evaluation/table.js";
import type { CellComparison, ComparisonScores, GroupComparison } from "./scores.js";

/** A row of the table: its name, what the real cells have, and what others have. */
interface Measure {
  readonly name: string;
  readonly real?: (scores: ComparisonScores) => string;
  readonly of: (scores: ComparisonScores) => string;
}

const MEASURES: readonly Measure[] = [
  { name: "AUC, larger of two", of: ({ auc }) => intervalText(auc, 3) },
  { name: "  logistic regression", of: ({ auc }) => numberText(auc.logistic, 3) },
  { name: "  random forest", of: ({ auc }) => numberText(auc.forest, 3) },
  {
    name: "zero fraction",
    real: ({ zeroFraction }) => numberText(zeroFraction.real, 4),
    of: ({ zeroFraction }) => numberText(zeroFraction.generated, 4),
  },
  { name: "  difference", of: ({ zeroFraction }) => intervalText(zeroFraction.difference, 4) },
  {
    name: "  cells (totals, too)",
    real: ({ marginalCells }) => String(marginalCells.real),
    of: ({ marginalCells }) => String(marginalCells.generated),
  },
  { name: "  by gene, RMS", of: ({ zeroFraction }) => numberText(zeroFraction.byGene.rms, 4) },
  { name: "  by gene, largest", of: ({ zeroFraction }) => numberText(zeroFraction.byGene.largest, 4) },
  { name: "  by gene, Pearson", of: ({ zeroFraction }) => numberText(zeroFraction.byGene.pearson, 4) },
  ...(["q1", "median", "q3"] as const).map(
    (quartile): Measure => ({
      name: { q1: "total, first quartile", median: "total, median", q3: "total, third quartile" }[quartile],
      real: ({ totals }) => numberText(totals.real[quartile], 0),
      of: ({ totals }) =>
        `${numberText(totals.generated[quartile], 0)} (${percent(totals.relative[quartile])})`,
    }),
  ),
  { name: "log mean, Pearson", of: ({ meanVariance }) => numberText(meanVariance.mean.pearson, 4) },
  { name: "log mean, RMS", of: ({ meanVariance }) => numberText(meanVariance.mean.rms, 3) },
  { name: "log variance, Pearson", of: ({ meanVariance }) => numberText(meanVariance.variance.pearson, 4) },
  { name: "log variance, RMS", of: ({ meanVariance }) => numberText(meanVariance.variance.rms, 3) },
  { name: "correlation structure", of: ({ correlationStructure }) => numberText(correlationStructure, 4) },
  {
    name: "  sets of cells",
    of: ({ correlationSets: { count, deviation } }) =>
      deviation === null ? String(count) : `${count} (deviation ${numberText(deviation, 3)})`,
  },
  { name: "energy distance", of: ({ energyDistance }) => numberText(energyDistance, 4) },
  {
    name: "nearest training cell",
    real: ({ memorisation }) => numberText(memorisation.heldOut, 3),
    of: ({ memorisation }) => numberText(memorisation.generated, 3),
  },
  { name: "  over held-out", of: ({ memorisation }) => ratio(memorisation) },
  {
    name: "  equal to one",
    real: ({ memorisation }) => share(memorisation.heldOutCopies),
    of: ({ memorisation }) => share(memorisation.copies),
  },
];

/**
 * A comparison for people: one table of the generated cells, the ceiling and the floors, groups where there are some, and last
 * whether generated cells can be told from real ones.
 *
 * Throws `ARGUMENT_TYPE`.
 *
 * @param by names what groups are by
 */
export function renderComparison(result: CellComparison, by = "group"): string {
  const tables = comparisonTables(result, by);
  return [comparisonCaption(result), ...tables.map(resultText), comparisonSentence(result)].join("\n\n");
}

/** What was compared. */
export function comparisonCaption(result: CellComparison): string {
  return `${result.cells} cells of each kind, ${result.genes} genes; ${referenceText(result)}; intervals are 95% over cells`;
}

/** The tables of `renderComparison`. */
export function comparisonTables(result: CellComparison, by = "group"): ResultTable[] {
  checkComparison(result);
  checkKind("by", by, "text");
  const { ceiling, floors } = result;
  const columns = [result, ceiling, floors.negativeBinomial, floors.shuffled];
  const header = ["", "real", "generated", "other real", "negative binomial", "shuffled genes"];
  const rows = MEASURES.map(({ name, real, of }) => [name, real?.(result) ?? "", ...columns.map(of)]);
  const groups = result.groups === undefined ? [] : [groupTable(result.groups, by)];
  return [{ header, rows, left: 1 }, ...groups];
}

function referenceText({ reference, trainingCells }: CellComparison): string {
  return reference === "half"
    ? `real cells were divided at random: one half is compared, the other (${trainingCells}) stands for training cells`
    : `${trainingCells} training cells`;
}

function groupTable(groups: Readonly<Record<string, GroupComparison>>, by: string): ResultTable {
  const header = [
    by,
    "real",
    "generated",
    "compared",
    "AUC",
    "other real",
    "zero difference",
    "correlations",
    "other real",
    "energy",
    "other real",
    "nearest, ratio",
  ];
  const rows = Object.entries(groups).map(([label, group]) => [
    label,
    String(group.real),
    String(group.generated),
    `${group.cells}${group.few ? " !" : ""}`,
    group.auc === undefined ? "-" : intervalText(group.auc, 3),
    numberText(group.ceiling?.auc.value, 3),
    numberText(group.zeroFraction?.difference.value, 4),
    numberText(group.correlationStructure, 3),
    numberText(group.ceiling?.correlationStructure, 3),
    numberText(group.energyDistance, 3),
    numberText(group.ceiling?.energyDistance, 3),
    group.memorisation === undefined ? "-" : ratio(group.memorisation),
  ]);
  const few = Object.values(groups).some((group) => group.few);
  return {
    header,
    rows,
    left: 1,
    ...(few ? { note: FEW_NOTE } : {}),
  };
}

/** Whether generated cells can be told from real ones, in words. */
export function comparisonSentence({ auc, ceiling, floors, memorisation }: CellComparison): string {
  const isTold = auc.low > ceiling.auc.high;
  const isNearer = memorisation.high !== null && memorisation.high < 1;
  const areCopies = memorisation.copies > 2 * memorisation.heldOutCopies && memorisation.copies > 0.02;
  return (
    `generated cells ${isTold ? "can be told from real ones" : "are not told from real ones more surely than other real cells are"}: ` +
    `AUC ${intervalText(auc, 3)}, of other real cells ${intervalText(ceiling.auc, 3)}, ` +
    `of negative binomials ${numberText(floors.negativeBinomial.auc.value, 3)}, of shuffled genes ${numberText(floors.shuffled.auc.value, 3)}` +
    (isNearer
      ? `; they are nearer to training cells than held-out cells are (ratio ${ratio(memorisation)}), as memorised cells would be`
      : "") +
    (areCopies
      ? `; ${share(memorisation.copies)} of them equal a training cell: the files have cells in common, or the generator copies what it learnt from`
      : "")
  );
}

function percent(value: number | null): string {
  if (value === null) return "-";
  return `${value < 0 ? "" : "+"}${(100 * value).toFixed(1)}%`;
}

function share(value: number): string {
  return `${(100 * value).toFixed(1)}%`;
}

function ratio(scores: ComparisonScores["memorisation"]): string {
  const { ratio: value, low, high } = scores;
  return value === null || low === null || high === null ? "-" : intervalText({ value, low, high }, 3);
}

function checkComparison(result: CellComparison): void {
  checkKind("result", result, "object");
  checkScores("result", result);
  checkKind("result.floors", result.floors, "object");
  checkScores("result.ceiling", result.ceiling);
  for (const name of ["negativeBinomial", "shuffled"] as const)
    checkScores(`result.floors.${name}`, result.floors[name]);
  if (result.groups === undefined) return;
  checkKind("result.groups", result.groups, "object");
  for (const [label, group] of Object.entries(result.groups)) {
    checkKind(`result.groups.${label}`, group, "object");
    if (group.auc !== undefined) checkScores(`result.groups.${label}`, group as ComparisonScores);
  }
}

/** Throws `ARGUMENT_TYPE` unless the table can be made of the scores. */
function checkScores(argument: string, scores: ComparisonScores): void {
  checkKind(argument, scores, "object");
  try {
    for (const { real, of } of MEASURES) {
      of(scores);
      real?.(scores);
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw wrongType(argument, scores, "the result of compareCells");
  }
}
