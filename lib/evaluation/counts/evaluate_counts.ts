import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { requireSame } from "../../cluster/same.js";
import { bytesOf } from "../../data/hierarchy_writer.js";
import { CellResamples } from "./bootstrap.js";
import { type CountCells, cellCount } from "./count_cells.js";
import { checkCountOptions, type EvaluateCountsOptions } from "./count_options.js";
import { CountReport, devianceSums, likelihoodSums, type MethodTotals } from "./count_report.js";
import { type FittedBaselines, fitBaselines, thinnedBase } from "./fit_baselines.js";
import type { HiddenGenes } from "./masked_cells.js";
import { type MaskedTotals, predictHidden } from "./masked_evaluation.js";
import { crossValidate, type McvTotals } from "./molecular_cross_validation.js";
import type { CountPredictor } from "./predictor.js";
import {
  type BaselineCountScores,
  COUNT_BASELINES,
  type CountBaseline,
  type CountEvaluation,
} from "./scores.js";
import { thinCells } from "./thinning.js";
import { type Rivalry, verdictOf } from "./verdict.js";

/**
 * Compares a count model with baselines that are fitted on the training cells and predict the same hidden genes and the same test
 * molecules: likelihood of hidden genes, molecular cross-validation, errors on hidden entries, calibration (the last two at the share
 * nearest to half), each with a 95% interval over held-out cells, differences paired. See docs/evaluation.md.
 *
 * In a cluster every rank calls it with the same options: each lets the methods predict its share of the cells, and all have the
 * result of one process, bit for bit. Throws `CLUSTER_MISMATCH` where a rank has other cells, and as `Cluster`.
 *
 * Throws `ARGUMENT_*`, `BATCH_INVALID`, `EVALUATION_EMPTY` where there is no cell or no hidden gene, `EVALUATION_GROUPS` for too many
 * groups; rejects with the signal's reason when aborted.
 */
export async function evaluateCounts(options: EvaluateCountsOptions): Promise<CountEvaluation> {
  const { ratios, thin, openProblems, seed, cluster, ...checked } = checkCountOptions(options);
  const { model, heldOut, training, base, masks, denoiser, signal } = options;
  const pause = async () => {
    await setImmediate();
    signal?.throwIfAborted();
  };
  await pause();
  await requireSame(
    cluster,
    cluster.world === 1 ? "" : digestOf(options),
    "scores other cells than rank 0: give all ranks the same data and options",
  );
  const fitted = await fitBaselines(training, base, { ratios, thin, denoiser, seed, pause, signal, cluster });
  const resamples = new CellResamples(cellCount(heldOut), checked.resamples, seed, cluster);
  const half = nearestToHalf(ratios);
  const hidden = new Map<string, Map<string, MaskedTotals>>();
  for (const text of ratios.keys()) {
    const predictors = new Map<string, CountPredictor>([["model", model]]);
    if (options.withoutConditions !== undefined) {
      predictors.set("withoutConditions", options.withoutConditions);
    }
    for (const [name, { predictor }] of fitted.hidden.get(text) ?? []) predictors.set(name, predictor);
    const details = text === half ? { details: resamples } : {};
    const given = masks[text] as HiddenGenes;
    hidden.set(
      text,
      await predictHidden(predictors, heldOut, given, base, { seed, pause, signal, cluster, ...details }),
    );
  }
  const mcv =
    thin === undefined
      ? new Map<string, McvTotals>()
      : await crossValidate<string>(
          fitted.mcv,
          await thinCells(heldOut, thin, seed),
          thinnedBase(base, thin),
          thin,
          { pause, signal, cluster },
        );
  const totalsOf = (name: string): MethodTotals => ({
    hidden: new Map(
      [...hidden].flatMap(([text, methods]) => {
        const totals = methods.get(name);
        return totals === undefined ? [] : [[text, totals] as const];
      }),
    ),
    mcv: mcv.get(name),
    chosen: chosenFor(fitted, name),
  });
  const report = new CountReport(resamples, half, openProblems);
  const own = totalsOf("model");
  const baselines = new Map<CountBaseline, MethodTotals>();
  for (const name of COUNT_BASELINES) {
    const totals = totalsOf(name);
    if (totals.hidden.size > 0 || totals.mcv !== undefined) baselines.set(name, totals);
  }
  const baselineScores: Partial<Record<CountBaseline, BaselineCountScores>> = {};
  for (const [name, totals] of baselines) {
    baselineScores[name] = { ...report.scores(totals), difference: report.difference(own, totals) };
    await pause();
  }
  const scores = report.scores(own);
  const without = totalsOf("withoutConditions");
  const measured = new Set<number>();
  for (const panel of new Set(heldOut.panels)) {
    for (const gene of heldOut.panelGenes[panel] as Int32Array) measured.add(gene);
  }
  return {
    cells: cellCount(heldOut),
    genes: measured.size,
    hiddenRatios: [...ratios.values()],
    ...scores,
    likelihood: scores.likelihood ?? {},
    ...(options.withoutConditions === undefined
      ? {}
      : { withoutConditions: { likelihood: report.scores(without).likelihood ?? {} } }),
    baselines: baselineScores,
    ...(options.groups === undefined
      ? {}
      : { groups: await report.groups(options.groups, own, baselines, pause) }),
    verdict: verdictOf(
      half,
      report.rivalry(own, baselines, (totals) => likelihoodSums(totals, half)) as Rivalry,
      report.rivalry(own, baselines, devianceSums),
    ),
  };
}

/** Of all that is shared out. */
function digestOf({ heldOut, training, masks }: EvaluateCountsOptions): string {
  const hash = createHash("sha256");
  const arrays = ({ offsets, genes, counts, panels, panelGenes }: CountCells) => [
    ...[offsets, genes, counts, panels],
    ...panelGenes,
  ];
  const hidden = Object.values(masks).flatMap(({ offsets, genes }) => [offsets, genes]);
  for (const array of [...arrays(heldOut), ...arrays(training), ...hidden]) {
    hash.update(`${array.length} `).update(bytesOf(array));
  }
  return hash.digest("hex");
}

function chosenFor(fitted: FittedBaselines, name: string): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const [text, methods] of fitted.hidden) {
    const found = methods.get(name as CountBaseline);
    if (found !== undefined) chosen[text] = found.chosen;
  }
  const mcv = fitted.mcv.get(name as CountBaseline);
  if (mcv !== undefined) chosen.mcv = mcv.chosen;
  return chosen;
}

function nearestToHalf(ratios: ReadonlyMap<string, number>): string {
  return [...ratios].reduce((best, each) =>
    Math.abs(each[1] - 0.5) < Math.abs(best[1] - 0.5) ? each : best,
  )[0];
}
