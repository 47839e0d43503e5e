import { join } from "node:path";
import type { Cluster } from "../../cluster/cluster.js";
import { joinCluster } from "../../cluster/join.js";
import { rankDevice } from "../../cluster/rank_device.js";
import { findModelFile, ModelFile, readDescription } from "../../model/model_files.js";
import type { OptimizerShare } from "../../native/types.js";
import { beginTraining, runTraining } from "../../tasks/begin_training.js";
import type { TaskHooks } from "../../tasks/hooks.js";
import { openRunData } from "../../tasks/run_cells.js";
import { checkLeastMemory, checkMemory } from "../../tasks/training_memory.js";
import type { Hyperparameter } from "../../tensorboard/index.js";
import { GeneVocabulary } from "../../tokenizer/index.js";
import type { StepResult } from "../../training/fit.js";
import { optionsOf } from "../../training/options.js";
import { recordData, requireSameData } from "../../training/run_data.js";
import { RunFolder } from "../../training/run_folder.js";
import { readRecord } from "../../training/state.js";
import { Trainer } from "../../training/trainer.js";
import { afterReport } from "../shared/after_report.js";
import { flagOfArgument } from "../shared/argument_names.js";
import { type CommandContext, checkExclusive, defineCommand, type JsonResult } from "../shared/command.js";
import { Interrupted } from "../shared/interrupt.js";
import { openData } from "../shared/open.js";
import { flagOf } from "../shared/option_kinds.js";
import { USUAL_PORT } from "../shared/options.js";
import type { Output } from "../shared/output.js";
import { beginTogether } from "../shared/together.js";
import { ProgressDisplay } from "../shared/training_progress.js";
import { UsageError } from "../shared/usage_error.js";
import { describeMemory, describeRun, describeWeights, summarise } from "./describe.js";
import {
  conditionNames,
  denoiserOptions,
  RESUMABLE,
  TRAIN_OPTIONS,
  type TrainOptions,
  trainerOptions,
} from "./given.js";

/** `ddsc train`: trains a model on a file of counts. */
export const train = defineCommand({
  name: "train",
  summary: "train a model on a file of counts, or go on with a run",
  details: `Writes a folder: checkpoints step-N, of which "last" and "best" (by validation) are links, and metrics.jsonl. A checkpoint is
a model: give the folder to the other commands with --model. Ctrl-C saves and stops; --resume goes on as if never stopped.
Started by mpirun, srun or torchrun, all processes train one model: each computes a share of every batch (docs/cluster.md).

Example: ddsc train --data cells.h5ad --preset nano --steps 1000 --batch 64 --out runs/a`,
  options: TRAIN_OPTIONS,
  required: ["out"],
  texts: { out: { help: "the folder of the run, new but with --resume or --overwrite" } },
  run: async (options, context) => {
    const cluster = await joinCluster();
    // Rank 0 has the folder.
    await using _page = cluster.rank === 0 ? await startPage(options, context.output) : undefined;
    if (cluster.world === 1) return await trainHere(options, context, cluster);
    try {
      return await trainTogether(options, context, cluster);
    } catch (error) {
      afterReport(() => cluster.fail(error));
      throw error;
    }
  },
});

/** Trains as one of the processes of a cluster, of which rank 0 speaks. */
async function trainTogether(
  options: TrainOptions,
  context: CommandContext,
  cluster: Cluster,
): Promise<JsonResult> {
  const { output, signal } = context;
  const device = rankDevice(options.device, cluster);
  await cluster.useDevice(device ?? "auto");
  await beginTogether(options, output, cluster, "train one model");
  const own = { ...options, ...(device === undefined ? {} : { device }) };
  const result = await trainHere(own, context, cluster);
  // A signal may have come to one of them alone.
  const { reason } = signal;
  const code = await cluster.largest(
    result.end === "aborted" && reason instanceof Interrupted ? reason.exitCode : 0,
  );
  await cluster.leave();
  if (code > 0 && !signal.aborted) throw Interrupted.byExitCode(code);
  return result;
}

/** Trains, alone or as a rank. */
async function trainHere(options: TrainOptions, context: CommandContext, cluster: Cluster) {
  const { output, signal } = context;
  if (options.shardOptimizer && cluster.world === 1)
    output.note("there is one process: it keeps all of the optimizer's state, with --shard-optimizer, too");
  const { trainer, source, memory } = options.resume
    ? await resume(options, context, cluster)
    : await begin(options, context, cluster);
  using _source = source;
  using _model = trainer.model;
  describeRun(trainer, source, output);
  describeMemory(memory, output);
  const steps = options.resume && !context.given("steps") ? undefined : options.steps;
  const total = steps ?? (await readRecord(join(options.out, "last"))).steps ?? undefined;
  const progress = output.progress ? new ProgressDisplay(process.stderr, total) : undefined;
  const startStep = trainer.state.step;
  const hooks = {
    onNote: (note: string) => {
      progress?.close();
      output.note(note);
    },
  };
  const log = cluster.rank === 0 ? await openLog(options, trainer) : undefined;
  const onStep = (step: StepResult) => {
    progress?.update(step);
    log?.addStep(step);
  };
  let succeeded = false;
  const outcome = await runTraining(trainer, source, { steps, signal, onStep }, hooks)
    .then((ended) => {
      succeeded = true;
      return ended;
    })
    .finally(async () => {
      progress?.close();
      // The run is whole: what its copy lacks is no reason to fail.
      await log?.close(succeeded).catch((error: unknown) => output.note(String(error)));
    });
  summarise(options.out, trainer, startStep, outcome, output);
  return {
    out: options.out,
    ...outcome,
    memory: { ...memory.needed, available: memory.machine.available },
  };
}

/** Serves a page about the run where it is asked for; what stands in its way shows before any work is done. */
async function startPage({ watch, out }: TrainOptions, output: Output): Promise<AsyncDisposable | undefined> {
  if (watch === undefined) return undefined;
  const { watchRuns } = await import("../../watch/index.js");
  const page = await watchRuns([out], {
    ...(watch === USUAL_PORT ? {} : { port: watch }),
    waitForRuns: true,
  });
  output.note(`watch the run at ${page.address}`);
  return page;
}

/** Begins an event file where one is asked for, with the settings of the training. */
async function openLog({ tensorboard }: TrainOptions, { settings, state, model }: Trainer) {
  if (tensorboard === undefined) return undefined;
  const { EventLog } = await import("../../tensorboard/index.js");
  const { parameterCount, dtype, deviceName: device } = model;
  const hyperparameters = { ...flattened(settings), parameterCount, dtype, device };
  return await EventLog.open(tensorboard, { hyperparameters, firstStep: state.step + 1 });
}

/** Settings within settings as `limit.cells`; null, which a training works out itself, is left out. */
function flattened(settings: object, prefix = ""): Record<string, Hyperparameter> {
  const all: Record<string, Hyperparameter> = {};
  for (const [name, value] of Object.entries(settings) as [string, unknown][]) {
    if (typeof value === "object" && value !== null)
      Object.assign(all, flattened(value, `${prefix}${name}.`));
    else if (typeof value === "number" || typeof value === "string" || typeof value === "boolean")
      all[prefix + name] = value;
  }
  return all;
}

/** The share of the optimizer that this process holds; undefined for all of it. */
function shareOf({ shardOptimizer }: TrainOptions, { rank, world }: Cluster): OptimizerShare | undefined {
  return shardOptimizer ? { index: rank, count: world } : undefined;
}

function hooksOf({ output }: CommandContext): TaskHooks {
  return { onNote: (note) => output.note(note), nameOf: flagOfArgument };
}

async function begin(options: TrainOptions, context: CommandContext, cluster: Cluster) {
  checkExclusive(context, "batch", "batchTokens");
  checkExclusive(context, "lanes", "batchTokens");
  checkExclusive(context, "resume", "overwrite");
  checkExclusive(context, "holdout", "validation");
  if (options.data === undefined) throw new UsageError("train needs --data <FILE>: counts to train on");
  if (cluster.rank === 0) await RunFolder.check(options.out, { overwrite: options.overwrite });
  await checkLeastMemory({ ...options, optimizerShare: shareOf(options, cluster) });
  const source = await openData(options.data, options, cluster);
  try {
    const { vocabulary: file, weights } = options;
    const vocabulary =
      file === undefined
        ? undefined
        : await GeneVocabulary.load(await findModelFile(file, ModelFile.vocabulary));
    const asked = {
      conditions: conditionNames(options),
      model: {
        ...denoiserOptions(options, context),
        ...(vocabulary === undefined ? {} : { vocabulary }),
        ...(weights === undefined ? {} : { weights }),
        optimizerShare: shareOf(options, cluster),
      },
      training: { ...trainerOptions(options, context), cluster },
    };
    const { trainer, memory, loaded } = await beginTraining(source, asked, hooksOf(context));
    if (weights !== undefined && loaded !== undefined) context.output.line(describeWeights(weights, loaded));
    return { trainer, source, memory };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

async function resume(options: TrainOptions, context: CommandContext, cluster: Cluster) {
  const fixed = TRAIN_OPTIONS.find((name) => context.given(name) && !RESUMABLE.has(name));
  if (fixed !== undefined) {
    throw new UsageError(
      `${flagOf(fixed)} cannot be given with --resume: the run keeps its own; leave it out`,
    );
  }
  const last = join(options.out, "last");
  const record = await readRecord(last);
  const source =
    options.data === undefined
      ? await openRunData(record.data, flagOf("data"), cluster)
      : await openData(options.data, options, cluster);
  try {
    // Before anything is made of the data: what else is wrong with other data is beside the point.
    requireSameData(record.data, await recordData(source, record.data));
    const { device } = options;
    const description = await readDescription(last);
    const optimizerShare = shareOf(options, cluster);
    const memory = await checkMemory(
      { ...description, optimizerShare },
      source,
      { ...optionsOf(record.settings), cluster },
      device,
      hooksOf(context),
    );
    const trainer = await Trainer.resume(options.out, {
      ...(device === undefined ? {} : { device }),
      ...(optimizerShare === undefined ? {} : { optimizerShare }),
      cluster,
    });
    return { trainer, source, memory };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}
