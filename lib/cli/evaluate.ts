import { join } from "node:path";
import { type RaggedBatch, streamRows } from "../batching/index.js";
import type { CellSource } from "../data/source.js";
import { DdscError } from "../errors.js";
import { evaluate as evaluateModel, RankBaselines, renderTable } from "../evaluation/index.js";
import type { Denoiser } from "../model/denoiser.js";
import { exists, findModel } from "../model/model_files.js";
import { addReport, describeReport, emptyReport, type TokenizerReport } from "../tokenizer/index.js";
import { isSameData, openRunCells, recordData, splitRunCells } from "../training/run_data.js";
import { readRecord, TRAINING_FILE, type TrainingRecord } from "../training/state.js";
import { checkExclusive, defineCommand } from "./command.js";
import { DATA_OPTIONS, MODEL_OPTIONS, noteSource, openData, openModel } from "./open.js";
import { type Output, withThousands } from "./output.js";
import { CellProgress } from "./progress.js";
import { UsageError } from "./usage_error.js";

/** `ddsc evaluate`: how well a model fills in cells it was not trained on, beside baselines. */
export const evaluate = defineCommand({
  name: "evaluate",
  summary: "mask held-out cells, let the model fill them in, and compare with baselines",
  details: `Cells are those the run held out: of --data if it is what the run was trained on (the default), otherwise all cells of
--data. Baselines are counted on the run's training cells. Accuracy is over all tokens, masked accuracy over the masked
ones; the rank error is the mean of |most probable rank - rank|.

Example: ddsc evaluate --model runs/a --json`,
  options: ["data", ...MODEL_OPTIONS, ...DATA_OPTIONS, "ratios", "seed", "batch", "batchTokens"],
  required: ["model"],
  run: async (options, context) => {
    checkExclusive(context, "batch", "batchTokens");
    const { output, signal } = context;
    using given = options.data === undefined ? undefined : await openData(options.data, options);
    const record = await readRun(options.model);
    using own = await openTraining(record, given, options.model, output);
    using model = await openModel(options, output);
    const { source, heldOut, training } = await chooseCells(record, given, own, options.model);
    const cells = options.batch ?? DEFAULT_CELLS;
    const report = emptyReport();
    using progress = new CellProgress(output, heldOut.length);
    const baselines =
      training === undefined
        ? undefined
        : await RankBaselines.fit(
            tokenBatches(model, training.source, training.rows, { cells, signal }),
            model.strategy.values,
          );
    const result = await evaluateModel(
      model,
      tokenBatches(model, source, heldOut, { cells, signal, report, progress }),
      {
        ratios: options.ratios,
        seed: options.seed,
        signal,
        ...(baselines === undefined ? {} : { baselines }),
        ...(options.batchTokens === undefined ? {} : { maxTokens: options.batchTokens }),
      },
    );
    progress.clear();
    noteSource(source, output);
    for (const line of describeReport(report, model.tokenizer.minGenes)) output.note(line);
    output.line(
      `${source.name}: ${withThousands(result.cells)} cells, ${withThousands(result.tokens)} ranks`,
    );
    output.line(renderTable(result));
    return { model: options.model, data: source.name, ...result };
  },
});

/** Cells read at a time where `--batch` is not given. */
const DEFAULT_CELLS = 64;

/** What a model remembers of its training; undefined for one that was saved outside of a run. */
async function readRun(folder: string): Promise<TrainingRecord | undefined> {
  const model = await findModel(folder);
  return (await exists(join(model, TRAINING_FILE))) ? readRecord(model) : undefined;
}

/** The data of the run where `--data` is not that; undefined, said on stderr, where it can no longer be read. */
async function openTraining(
  record: TrainingRecord | undefined,
  given: CellSource | undefined,
  folder: string,
  output: Output,
): Promise<CellSource | undefined> {
  if (record === undefined || (given !== undefined && isSameData(record.data, await recordData(given, null))))
    return undefined;
  try {
    return await openRunCells(record.data);
  } catch (error) {
    if (given === undefined || !(error instanceof DdscError)) throw error;
    output.note(`${folder}: no baselines, as the training data cannot be read (${error.message})`);
    return undefined;
  }
}

interface ChosenCells {
  readonly source: CellSource;
  /** Rows of `source` to evaluate on. */
  readonly heldOut: Int32Array;
  /** What baselines are counted on. */
  readonly training: { readonly source: CellSource; readonly rows: Int32Array } | undefined;
}

/** The run's held-out cells, or all cells of other data. Throws `EVALUATION_EMPTY` where the run held out none. */
async function chooseCells(
  record: TrainingRecord | undefined,
  given: CellSource | undefined,
  own: CellSource | undefined,
  folder: string,
): Promise<ChosenCells> {
  const trained = own ?? (record === undefined ? undefined : given);
  const split =
    record === undefined || trained === undefined ? undefined : await splitRunCells(record.data, trained);
  const training =
    split === undefined || trained === undefined ? undefined : { source: trained, rows: split.train };
  if (given !== undefined && given !== trained) {
    return {
      source: given,
      heldOut: Int32Array.from({ length: given.cellCount }, (_, row) => row),
      training,
    };
  }
  if (trained === undefined || split === undefined) {
    throw new UsageError(
      `${folder} does not say what it was trained on; give cells to evaluate on with --data`,
    );
  }
  if (split.validation.length > 0) return { source: trained, heldOut: split.validation, training };
  throw new DdscError(
    "EVALUATION_EMPTY",
    `${folder}: the run held out no cells; give other cells with --data, or train with --validation above 0`,
    { file: folder },
  );
}

/** Tokens of some rows, batch by batch. */
async function* tokenBatches(
  model: Denoiser,
  source: CellSource,
  rows: Int32Array,
  options: {
    readonly cells: number;
    readonly signal: AbortSignal;
    readonly report?: TokenizerReport;
    readonly progress?: CellProgress;
  },
): AsyncGenerator<RaggedBatch> {
  const { cells, signal, report, progress } = options;
  let done = 0;
  for await (const part of streamRows(source, model.tokenizer, rows, { cells, signal })) {
    if (report !== undefined) addReport(report, part.report);
    yield part.batch;
    done = Math.min(done + cells, rows.length);
    progress?.update(done);
  }
}
