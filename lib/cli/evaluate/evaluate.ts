import { DdscError } from "../../base/errors.js";
import { type RaggedBatch, streamCells } from "../../batching/index.js";
import { requireRawCounts } from "../../data/sources/raw_counts.js";
import type { CellSource } from "../../data/sources/source.js";
import {
  evaluate as evaluateModel,
  RankBaselines,
  renderGroups,
  renderTable,
} from "../../evaluation/index.js";
import {
  addReport,
  describeReport,
  emptyReport,
  type TokenizedCells,
  type TokenizerReport,
} from "../../tokenizer/index.js";
import { checkExclusive, defineCommand } from "../command.js";
import { DATA_OPTIONS, labelsFrom, MODEL_OPTIONS, noteSource, openData, openModel } from "../open.js";
import { withThousands } from "../output.js";
import { CellProgress } from "../progress.js";
import { bothConditions, chooseCells, openTraining, readRun } from "../run_cells.js";
import { type EmptyEvaluation, explainEmpty } from "./empty_evaluation.js";
import { evaluateCountModel } from "./evaluate_counts.js";

/** `ddsc evaluate`: how well a model fills in cells it was not trained on, beside baselines. */
export const evaluate = defineCommand({
  name: "evaluate",
  summary: "mask held-out cells, let the model fill them in, and compare with baselines",
  details: `Cells are those the run held out: of --data if it is what the run was trained on (the default), otherwise all cells of
--data. Baselines are counted on the run's training cells. Accuracy is over all tokens, masked accuracy over the masked
ones; the rank error is the mean of |most probable rank - rank|. --by scores each group of cells by itself.

Example: ddsc evaluate --model runs/a --json`,
  options: [
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
  ],
  required: ["model"],
  run: async (options, context) => {
    checkExclusive(context, "batch", "batchTokens");
    const { output, signal } = context;
    using given = options.data === undefined ? undefined : await openData(options.data, options);
    const record = await readRun(options.model);
    const asked = { folder: options.model, record, given, place: "--data" };
    using own = await openTraining(asked, output);
    using model = await openModel(options, output);
    const { source, heldOut, training } = await chooseCells(asked, own);
    // What a run was trained on, its model may be scored on.
    const allowFractional = options.allowFractional || record?.settings.allowFractional === true;
    await requireRawCounts(source, allowFractional);
    const selection = { ...heldOut, ...bothConditions(heldOut.where, options.where) };
    if (model.ofCounts) {
      if (training === undefined) throw noTraining(options.model);
      const { ratios, seed, thin, openProblems, heldOutCells, trainingCells, by, batchTokens } = options;
      const result = await evaluateCountModel(
        model,
        {
          heldOut: { source, selection },
          training,
          ...{ ratios, seed, thin, openProblems, heldOutCells, trainingCells, by, signal },
          ...{ allowFractional, maxRows: batchTokens },
          ...(by === undefined
            ? {}
            : { labelsOf: (from: CellSource, rows: Float64Array) => labelsFrom(from, by)(rows) }),
        },
        output,
      ).catch(async (error: unknown) => {
        throw (
          (await explain(error, { source, heldOut, where: options.where, report: emptyReport() })) ?? error
        );
      });
      noteSource(source, output);
      return { model: options.model, data: source.name, ...result };
    }
    const groups = options.by === undefined ? {} : { groupsOf: labelsFrom(source, options.by) };
    const cells = options.batch ?? DEFAULT_CELLS;
    const report = emptyReport();
    using progress = new CellProgress(output, source.cellCount);
    const baselines =
      training === undefined
        ? undefined
        : await RankBaselines.fit(
            batchesOf(streamCells(training.source, model.tokenizer, { ...training, cells, signal })),
            model.strategy.values,
          );
    const evaluated = streamCells(source, model.tokenizer, {
      selection,
      cells,
      signal,
      onProgress: (rows) => progress.update(rows),
    });
    const result = await evaluateModel(model, batchesOf(evaluated, report), {
      ratios: options.ratios,
      seed: options.seed,
      signal,
      ...groups,
      ...(baselines === undefined ? {} : { baselines }),
      ...(options.batchTokens === undefined ? {} : { maxTokens: options.batchTokens }),
    }).catch(async (error: unknown) => {
      throw (await explain(error, { source, heldOut, where: options.where, report })) ?? error;
    });
    progress.clear();
    noteSource(source, output);
    for (const line of describeReport(report, model.tokenizer.minGenes)) output.note(line);
    output.line(
      `${source.name}: ${withThousands(result.cells)} cells, ${withThousands(result.tokens)} ranks`,
    );
    output.lines(renderTable(result));
    if (result.groups !== undefined) {
      output.line();
      output.lines(renderGroups(result.groups, options.by ?? ""));
    }
    return { model: options.model, data: source.name, ...result };
  },
});

/** What to say in place of an `EVALUATION_EMPTY` where a condition left no cell; undefined for any other error. */
async function explain(error: unknown, asked: EmptyEvaluation): Promise<DdscError | undefined> {
  return error instanceof DdscError && error.code === "EVALUATION_EMPTY" ? explainEmpty(asked) : undefined;
}

function noTraining(folder: string): DdscError {
  return new DdscError(
    "EVALUATION_EMPTY",
    `${folder}: the cells that the model was trained on are not at hand, and a model of counts is scored beside baselines of them; give the run's data with --data, or put them back`,
    { file: folder },
  );
}

/** Cells that the network gets at a time where `--batch` is not given. */
const DEFAULT_CELLS = 64;
/** The batches of streamed cells; what was left out is added to `report`. */
async function* batchesOf(
  parts: AsyncIterable<TokenizedCells>,
  report?: TokenizerReport,
): AsyncGenerator<RaggedBatch> {
  for await (const part of parts) {
    if (report !== undefined) addReport(report, part.report);
    yield part.batch;
  }
}
