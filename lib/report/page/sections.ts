import { withThousands } from "../../base/thousands.js";
import { BASELINE_LABELS } from "../../evaluation/counts/verdict.js";
import type { CountBaseline, CountEvaluation, EvaluationResult } from "../../evaluation/index.js";
import { escaped } from "../../plots/markup.js";
import type { FigureName } from "../figures.js";
import type { Part, ReportData } from "../report_data.js";
import { tableHtml } from "./tables.js";

/** A section of the page. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** What a reader should know first, as HTML. */
  readonly intro: string;
  readonly figures: readonly FigureName[];
  /** Where there is nothing to show: why, in words. */
  readonly missing?: string | undefined;
  /** What comes after the figures, as HTML. */
  readonly end?: string;
}

/** The sections of a report with figures, in the order of the page. */
export function sectionsOf(data: ReportData, mostRows: number): readonly Section[] {
  const counts = data.kind === "counts";
  return [
    {
      id: "training",
      title: "How it was trained",
      intro: p(
        "The loss of single steps is noisy: cells differ, and so does how much of them is hidden. Validation is on the same held-out cells each time; where it rises while the loss falls, the model learns its training cells by heart.",
      ),
      figures: ["learning-curves", "learning-rate"],
      missing: whyMissing(data.curves),
      end: withoutValidation(data),
    },
    counts
      ? {
          id: "likelihood",
          title: "Hidden genes beside the baselines",
          intro: p(
            `Of each cell some genes are hidden, and a method gives a distribution of each hidden count. Its score are nats a hidden gene: lower is better. Bars are 95% intervals over held-out cells. ${fitted(data)}`,
          ),
          figures: ["likelihood"],
          missing: whyMissing(data.scores),
        }
      : {
          id: "accuracy",
          title: "Masked ranks beside the baselines",
          intro: p(
            "The published figure: the share of the masked ranks that the most probable one gets right. Baselines see no other gene of the cell.",
          ),
          figures: ["accuracy"],
          missing: whyMissing(data.scores),
        },
    {
      id: "calibration",
      title: "Can its chances and intervals be believed?",
      intro: p(
        "Where the model says that a gene is expressed with chance 0.3, three in ten should be; and the central 90% of its distributions, which impute writes as intervals, should hold nine in ten of the true counts.",
      ),
      figures: counts ? ["calibration", "coverage"] : [],
      missing: counts ? whyMissing(data.scores) : "a model of ranks gives no intervals of counts",
    },
    {
      id: "types",
      title: "By type of cell",
      intro: p(
        data.by === undefined
          ? "Each type scored by itself."
          : `Types are those of the column ${data.by}. With fewer than 20 cells there is too little to conclude from.`,
      ),
      figures: counts ? ["groups"] : [],
      missing: whyNoTypes(data),
      end: typesTable(data, mostRows),
    },
    {
      id: "genes",
      title: "Genes best and worst predicted",
      intro: p(
        "Nats of the model less those of the gene's marginal, its counts over training cells whatever else a cell holds, with half of the genes hidden: below 0 the other genes of the cell tell something.",
      ),
      figures: ["genes"],
      missing: whyMissing(data.genes),
      end: genesTable(data, mostRows),
    },
    {
      id: "generated",
      title: "Real and generated cells",
      intro: generatedIntro(data),
      figures: ["classifier", "totals", "zero-fractions", "mean-variance", "gene-correlations"],
      missing: whyMissing(data.generated),
    },
    {
      id: "map",
      title: "A map of real and generated cells",
      intro: p(
        "UMAP of both kinds together, on 30 principal components of log counts per 10,000. Near cells are alike; distances between islands mean little.",
      ),
      figures: ["cell-map"],
      missing: whyMissing(data.map),
    },
    {
      id: "filling",
      title: "A cell being filled in",
      intro: p(
        counts
          ? "Genes are revealed in random order, some in each step, and each draw sees what was revealed before. The genes of most molecules are shown; the draws are one of many that the model holds possible."
          : "Ranks are revealed in random order, some in each step, and each draw sees what was revealed before. The draws are one of many that the model holds possible.",
      ),
      figures: ["filling", "generation"],
      missing: whyMissing(data.filling),
    },
  ];
}

function p(text: string): string {
  return `<p>${escaped(text)}</p>`;
}

function whyMissing(part: Part<unknown>): string | undefined {
  return "missing" in part ? part.missing : undefined;
}

function withoutValidation({ curves }: ReportData): string {
  if ("missing" in curves || curves.made.some(({ validation }) => validation !== null)) return "";
  return p("Not in this report: validation, as the run held out no cells, or was not validated yet.");
}

function fitted({ scores }: ReportData): string {
  if ("missing" in scores || scores.made.kind !== "counts") return "";
  return `Baselines are fitted on ${withThousands(scores.made.trainingCells)} training cells.`;
}

function generatedIntro({ generated }: ReportData): string {
  if ("missing" in generated) return "";
  const { comparison, allGenes, genes, seconds } = generated.made;
  const { auc, ceiling, correlationStructure } = comparison;
  const some =
    genes.length < allGenes ? ` Of these, ${withThousands(genes.length)} are shown one by one.` : "";
  return p(
    `${withThousands(comparison.cells)} cells of each kind, over ${withThousands(allGenes)} genes, beside as many other real cells. ` +
      `The better of two classifiers tells generated cells from real ones with an AUC of ${auc.value.toFixed(3)} ` +
      `(95% ${auc.low.toFixed(3)} to ${auc.high.toFixed(3)}); ${ceiling.auc.value.toFixed(3)} for other real cells in their place, ` +
      `where 0.5 is chance and 1 never wrong. Drawn in ${seconds.toFixed(1)} s.${some}`,
  ).concat(
    correlationStructure === null || ceiling.correlationStructure === null
      ? ""
      : p(
          `Correlations between genes (the 200 of most counts) agree with those of the real cells at ${correlationStructure.toFixed(2)}; ` +
            `${ceiling.correlationStructure.toFixed(2)} is as good as can be with so few cells: that is what other real cells reach.`,
        ),
  );
}

function whyNoTypes(data: ReportData): string | undefined {
  if (data.by === undefined) {
    return "the model has no condition of labels, and no column of types was named (--by)";
  }
  return whyMissing(data.scores);
}

/** Scores by type as a table, for models of either kind. */
function typesTable({ scores, by }: ReportData, mostRows: number): string {
  if ("missing" in scores || by === undefined) return "";
  const { made } = scores;
  const table = made.kind === "counts" ? countTypes(made.evaluation, by) : rankTypes(made.evaluation, by);
  return table === undefined ? "" : tableHtml(table, `Scores by ${by}`, mostRows);
}

function countTypes({ groups, verdict }: CountEvaluation, by: string) {
  if (groups === undefined) return undefined;
  const best = verdict.best as CountBaseline;
  const ratio = "0.5";
  return {
    columns: [by, "cells", "model, nats", "95%", `${BASELINE_LABELS[best]}, nats`, "95%", "model less it"],
    rows: Object.entries(groups).map(([label, group]) => {
      const own = group.likelihood[ratio]?.all;
      const rival = group.baselines[best]?.likelihood?.[ratio]?.all;
      return [
        group.few ? `${label} (few)` : label,
        group.cells,
        own?.nats ?? null,
        range(own),
        rival?.nats ?? null,
        range(rival),
        own === undefined || rival === undefined ? null : own.nats - rival.nats,
      ];
    }),
  };
}

function range(interval: { readonly low: number; readonly high: number } | undefined): string | null {
  return interval === undefined ? null : `${interval.low.toPrecision(4)} to ${interval.high.toPrecision(4)}`;
}

function rankTypes({ groups }: EvaluationResult, by: string) {
  if (groups === undefined) return undefined;
  return {
    columns: [by, "cells", "masked", "masked accuracy", "nats a masked rank", "rank error"],
    rows: Object.entries(groups).flatMap(([label, { cells, ratios }]) =>
      Object.entries(ratios).map(([ratio, { maskedAccuracy, crossEntropy, rankMae }]) => [
        label,
        cells,
        ratio,
        maskedAccuracy,
        crossEntropy ?? null,
        rankMae,
      ]),
    ),
  };
}

/** All genes, from the worst to the best. */
function genesTable({ genes }: ReportData, mostRows: number): string {
  if ("missing" in genes) return "";
  const rows = genes.made.map(({ gene, model, baseline, expressed }) => [
    gene,
    model,
    baseline,
    model - baseline,
    expressed,
  ]);
  const columns = ["gene", "model, nats", "marginal, nats", "model less it", "hidden counts above 0"];
  const half = Math.max(1, mostRows >> 1);
  const some = rows.length <= mostRows ? rows : [...rows.slice(0, half), ...rows.slice(-half)];
  const name =
    rows.length <= mostRows
      ? "All genes, those that the model predicts worst beside their marginal first"
      : `The ${half} genes that the model predicts worst beside their marginal, and the ${half} best of ${rows.length}`;
  return `<details><summary>Gene by gene</summary>${tableHtml({ columns, rows: some }, name, mostRows)}</details>`;
}
