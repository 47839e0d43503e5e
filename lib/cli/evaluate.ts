import type { Cluster } from "../cluster/cluster.js";
import { joinCluster } from "../cluster/join.js";
import { rankDevice } from "../cluster/rank_device.js";
import { renderCountTable, renderGroups, renderTable } from "../evaluation/index.js";
import { Opened } from "../model/opened.js";
import { type FileEvaluation, scoreRun } from "../tasks/score_run.js";
import { flagOfArgument } from "./shared/argument_names.js";
import { type CommandContext, checkExclusive, defineCommand, type JsonResult } from "./shared/command.js";
import { DATA_OPTIONS, MODEL_OPTIONS, openData, openModel } from "./shared/open.js";
import type { OptionValues } from "./shared/options.js";
import { type Output, withThousands } from "./shared/output.js";
import { CellProgress } from "./shared/progress.js";
import { workTogether } from "./shared/together.js";

const EVALUATE_OPTIONS = [
  "data",
  ...MODEL_OPTIONS,
  ...DATA_OPTIONS,
  "allowFractional",
  "where",
  "by",
  "ratios",
  "thin",
  "openProblems",
  "heldOutCells",
  "trainingCells",
  "seed",
  "batch",
  "batchTokens",
] as const;

type EvaluateOptions = OptionValues<(typeof EVALUATE_OPTIONS)[number], "model">;

/** `ddsc evaluate`: how well a model fills in cells it was not trained on, beside baselines. */
export const evaluate = defineCommand({
  name: "evaluate",
  summary: "mask held-out cells, let the model fill them in, and compare with baselines",
  details: `Cells are those the run held out: of --data if it is what the run was trained on (the default), otherwise all cells of
--data. Baselines are fitted to the run's training cells. --by scores each group of cells by itself. Intervals are 95%, over cells.

A model of counts (the default of \`train\`): nats a hidden gene (minus log likelihood, lower is better) with shares --ratios of the genes
hidden, all of them and those with a count; molecular cross-validation (Poisson deviance a gene of denoised counts on the share --thin of
the molecules that was held back); errors on hidden entries; how often counts fall inside of their intervals (PIT). Beside each gene's
marginal, a negative binomial at the cell's depth, kNN smoothing, truncated SVD and ridge regression; last a sentence on whether the
model beats the best of them.
A model of ranks: accuracy is over all tokens, masked accuracy over the masked ones (shares --ratios); the rank error is the mean of
|most probable rank - rank|.

Started by mpirun or srun, all processes score one model: each lets it predict a share of the cells, and the result is that
of one process (docs/cluster.md).

Example: ddsc evaluate --model runs/a --json`,
  options: EVALUATE_OPTIONS,
  required: ["model"],
  run: async (options, context) => {
    checkExclusive(context, "batch", "batchTokens");
    const cluster = await joinCluster();
    return workTogether(options, context.output, cluster, "score one model", () =>
      evaluateHere(options, context, cluster),
    );
  },
});

/** Scores, alone or as a rank. */
async function evaluateHere(
  options: EvaluateOptions,
  context: CommandContext,
  cluster: Cluster,
): Promise<JsonResult> {
  const { output, signal } = context;
  const device = rankDevice(options.device, cluster);
  const own = { ...options, ...(device === undefined ? {} : { device }) };
  const { model: folder, batch: batchCells, batchTokens: maxRows } = options;
  using given = options.data === undefined ? undefined : await openData(options.data, options, cluster);
  using opened = new Opened();
  using progress = new CellProgress(output, 0);
  const result = await scoreRun(
    {
      ...{ ...options, folder, given, batchCells, maxRows, signal, cluster },
      load: async () => opened.own(await openModel(own, output)),
      onProgress: (rows, of) => progress.update(rows, of),
    },
    {
      onNote: (note) => {
        progress.clear();
        output.note(note);
      },
      nameOf: flagOfArgument,
    },
  );
  progress.clear();
  describe(result, options.by, output);
  return { model: folder, ...result };
}

/** Prints the scores. */
function describe(result: FileEvaluation, by: string | undefined, output: Output): void {
  const { data, cells } = result;
  if (result.kind === "counts") {
    output.line(
      `${data}: ${withThousands(cells)} held-out cells; baselines from ${withThousands(result.trainingCells)} training cells`,
    );
    output.lines(renderCountTable(result, by));
    return;
  }
  output.line(`${data}: ${withThousands(cells)} cells, ${withThousands(result.tokens)} ranks`);
  output.lines(renderTable(result));
  if (result.groups === undefined) return;
  output.line();
  output.lines(renderGroups(result.groups, by ?? ""));
}
