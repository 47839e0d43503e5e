import { join } from "node:path";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, checkWhole, DdscError, wrongType } from "../base/errors.js";
import { BatchLoader } from "../batching/index.js";
import { countLaneCells } from "../batching/lane_cells.js";
import { requireLaneParts } from "../batching/lane_order.js";
import { noCells } from "../batching/producer.js";
import { alone, type Cluster } from "../cluster/cluster.js";
import type { HeldOut } from "../data/select/selection.js";
import { requireRawCounts } from "../data/sources/raw_counts.js";
import type { CellSource } from "../data/sources/source.js";
import { Denoiser } from "../model/denoiser.js";
import { estimateMemory, workloadOf } from "../model/memory.js";
import type { OptimizerShare } from "../native/types.js";
import {
  addReport,
  type CellTokenizer,
  describeReport,
  emptyReport,
  type TokenizerReport,
} from "../tokenizer/index.js";
import { helpToSave, loadOptimizer, saveCheckpoint } from "./checkpoint.js";
import { countNotes } from "./count_notes.js";
import { DivergenceWatch } from "./divergence.js";
import {
  type Beginning,
  type FitEnd,
  type FitOptions,
  type Session,
  type StepResult,
  unlessAborted,
} from "./fit.js";
import { kindOf, trainingTask } from "./kinds.js";
import { learningRateFactor, resolveSchedule } from "./learning_rate.js";
import { geneMarginalLoss, marginalNotes } from "./marginal.js";
import { largestBatch } from "./memory.js";
import { METRICS_FILE, MetricsLog } from "./metrics.js";
import {
  interval,
  optionsOf,
  type TrainerOptions,
  type TrainerSettings,
  trainerSettings,
} from "./options.js";
import { readingNotes } from "./ranks/reading_notes.js";
import { requireSameModel } from "./ranks/same_model.js";
import { requireOwnShare } from "./ranks/shared_optimizer.js";
import { type RunCells, recordData, requireEnough, requireSameData, selectionOf } from "./run_data.js";
import { RunFolder } from "./run_folder.js";
import { initialState, readRecord, type TrainingState } from "./state.js";
import { baselinesOf, beginStatus } from "./status_begin.js";
import { trainStep } from "./step.js";
import { StepsAhead } from "./steps_ahead.js";
import type { TrainingTask } from "./task.js";
import { runTokenizer } from "./tokenizer.js";
import { type ValidationResult, Validator } from "./validation.js";

/** Ranks of a cluster are compared after so many steps. */
const STEPS_BETWEEN_CHECKS = 100;
const never = async () => false;

/** A training is not ended for want of better validations within so many steps. */
const FEWEST_STALE_STEPS = 100;

/**
 * Trains a model on a source of cells. With a folder, the run can be stopped in any way, a kill included, and resumed:
 * it ends with the same weights, bit for bit, as if it had never stopped (on a machine of the same kind).
 *
 * In a cluster every rank has a trainer with the same options and calls the same functions: each computes its share of every step, all
 * have the same weights, and rank 0 alone writes. A run may be resumed with another number of ranks.
 */
export class Trainer {
  readonly model: Denoiser;
  readonly settings: TrainerSettings;
  readonly #folder: string | undefined;
  readonly #cluster: Cluster;
  readonly #overwrite: boolean;
  #state: TrainingState = initialState;
  #beginning: Beginning | undefined;
  /** Step of the newest checkpoint; undefined where there is none. */
  #savedStep: number | undefined;
  #report = emptyReport();
  #end: FitEnd | undefined;
  readonly #notes: string[] = [];
  /** The last validation of this call of `fit`. */
  #validation: ValidationResult | undefined;
  /** Nats a gene of a model of counts before the first step: of the negative binomial alone, unless it was trained before. */
  #untrained: number | undefined;
  /** Nats a masked token that each gene's own distribution of ranks has on the cells of the validation; as far as it was asked for. */
  #marginal: number | undefined;
  #busy = false;

  /** Throws `ARGUMENT_RANGE`, `BATCH_SIZE_TWICE`, `ARGUMENT_CONFLICT` for a model with another rank's share of the optimizer, and `TRAIN_MODEL` for one that is not trainable. */
  constructor(model: Denoiser, options: TrainerOptions = {}) {
    if (!(model instanceof Denoiser)) throw wrongType("model", model, "a Denoiser");
    if (!model.trainable) {
      throw new DdscError("TRAIN_MODEL", "this model only predicts; create or load it with trainable: true", {
        argument: "model",
      });
    }
    this.model = model;
    this.settings = trainerSettings(options, kindOf(model));
    this.#folder = options.folder;
    this.#overwrite = options.overwrite ?? false;
    this.#cluster = options.cluster ?? alone;
    requireOwnShare(this.#cluster, model.native);
  }

  /**
   * The trainer of a run as its last checkpoint has it, with a model of its own (`trainer.model`, the caller's to
   * dispose of); `fit` with the same data goes on from there. What a killed run left behind is removed. Throws
   * `CHECKPOINT_*` where there is no such checkpoint or it is damaged, `RUN_LOCKED` while another training runs in the folder.
   */
  static async resume(
    folder: string,
    options: {
      readonly device?: string;
      readonly cluster?: Cluster;
      /** As `DenoiserOptions.optimizerShare`; any run can be gone on with in shares, or without. */
      readonly optimizerShare?: OptimizerShare;
    } = {},
  ): Promise<Trainer> {
    checkKind("folder", folder, "text");
    checkOptions(options, { cluster: "object" });
    const { cluster = alone, ...given } = options;
    // Rank 0 puts the run right before the others read it.
    await using run = cluster.rank === 0 ? await RunFolder.open(folder) : undefined;
    if (run === undefined) await cluster.barrier();
    const last = join(folder, "last");
    const { settings, state, ...beginning } = await readRecord(last);
    await run?.repair(state.step, state.best?.step);
    if (run !== undefined) await cluster.barrier();
    const model = await Denoiser.load(last, { ...given, trainable: true });
    try {
      await loadOptimizer(last, model);
      const trainer = new Trainer(model, { ...optionsOf(settings), folder, cluster });
      trainer.#state = state;
      trainer.#beginning = beginning;
      trainer.#savedStep = state.step;
      return trainer;
    } catch (error) {
      model[Symbol.dispose]();
      throw error;
    }
  }

  /** How far the training is. */
  get state(): TrainingState {
    return this.#state;
  }

  /** What a user should know about the training, found by `fit`. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** Steps asked for; undefined before the first `fit`, and where there is no end. */
  get steps(): number | undefined {
    return this.#beginning?.steps ?? undefined;
  }

  /** How the last call of `fit` ended; undefined before, and where it threw or was left. */
  get end(): FitEnd | undefined {
    return this.#end;
  }

  /** What the tokenizer left out of the cells of the steps done, in the last call of `fit`. */
  get report(): Readonly<TokenizerReport> {
    return this.#report;
  }

  /**
   * Trains, giving the result of each step. Ends after `steps`, after `seconds`, or with the signal; in each case, and
   * when the caller leaves the loop, the last step done is saved. The run's folder is locked meanwhile. A call that begins a
   * run and fails before its first step is done leaves none.
   *
   * Throws `TRAIN_NOT_FINITE` and `TRAIN_DIVERGED` (the last good checkpoint stays), `DATA_TOO_FEW` for less than two cells or
   * genes, `ARGUMENT_RANGE` for fewer parts than lanes, `DATA_FRACTIONAL_COUNT` and `DATA_TRANSPOSED` (see `requireRawCounts`), `TRAIN_DATA_CHANGED`, `RUN_EXISTS`, `RUN_LOCKED`, `RUN_CHANGED`,
   * `FILE_EXISTS`, `FILE_WRITE`, `SCHEDULE_NEEDS_STEPS`, `TRAIN_BUSY` while another call runs, and the errors of data and
   * tokenizer; in a cluster as `Cluster`, and `CLUSTER_DIVERGED` where ranks do not have the same weights.
   */
  async *fit(source: CellSource, options: FitOptions = {}): AsyncGenerator<StepResult, void, undefined> {
    checkKind("source", source, "cells");
    checkOptions(options, { signal: "signal" });
    if (this.#busy)
      throw new DdscError("TRAIN_BUSY", "this trainer is training already; wait for that to end");
    this.#busy = true;
    this.#end = undefined;
    this.#validation = undefined;
    this.#marginal = undefined;
    try {
      yield* this.#train(source, options);
    } finally {
      this.#busy = false;
    }
  }

  async *#train(source: CellSource, options: FitOptions): AsyncGenerator<StepResult, void, undefined> {
    const { signal } = options;
    const deadline = performance.now() + 1000 * checkNumber("seconds", options.seconds ?? 1e9, { min: 0 });
    requireEnough(source);
    const { limit, seed, lengthBuckets, lanes } = this.settings;
    requireLaneParts(source.partBounds, { limit, seed, lengthBuckets, lanes });
    await requireRawCounts(source, this.settings.allowFractional);
    const beginning = await this.#begin(source, options.steps);
    const tokenizer = runTokenizer(this.model.tokenizer, this.settings);
    const planned = await this.#reserve(source, tokenizer);
    // Only a model that was trained, or begins with the weights of one, has learnt how cells are summed up.
    const goesOn = this.model.summary !== undefined;
    const task = await trainingTask(this.model, source, tokenizer, {
      ...this.settings,
      data: beginning.data,
      cluster: this.#cluster,
      signal,
    });
    const validator = await this.#validator(task, source, tokenizer, beginning.data);
    // Of a cluster, all ranks stop after the same step: nothing within a step ends one of them.
    const within = this.#cluster.world === 1 ? signal : undefined;
    const plan = { limit, seed, lengthBuckets, lanes };
    const laneCells = await countLaneCells(source, selectionOf(beginning.data, "train"), plan, this.#cluster);
    await using batches = this.#batches(task, source, tokenizer, { ...beginning, laneCells }, within);
    // What is wrong with the data shows before anything is written, or a run replaced.
    await unlessAborted(within, () => batches.ready());
    await this.#cluster.useDevice(this.model.native.device);
    await requireSameModel(this.#cluster, this.model, this.#state.step);
    const begins = this.#savedStep === undefined;
    await using folder = await this.#openFolder();
    const { steps } = beginning;
    const known = { step: this.#state.step, steps, planned, notes: this.#allNotes(source) };
    const status = folder && (await beginStatus(folder.path, this.model, source, known));
    const marginal = async (cells: Validator) => {
      const run = { data: beginning.data, seed: this.settings.seed, heldOut: cells.cells };
      this.#marginal ??= await geneMarginalLoss(source, tokenizer, run);
      return this.#marginal;
    };
    let failed = false;
    try {
      this.#beginning = beginning;
      const watch = new DivergenceWatch(tokenizer.strategy.values);
      this.#noteBatch(source);
      this.#notes.push(...readingNotes(source, this.settings, this.#cluster.world));
      const onBegun = async () => {
        if (status === undefined || validator === undefined || status.baselines.length > 0) return;
        const loss = this.model.ofCounts ? this.#untrained : await marginal(validator);
        await status.update({ baselines: baselinesOf(loss, this.model.ofCounts, goesOn) });
      };
      const stop = () => this.#cluster.agree(signal?.aborted === true);
      const late = () => this.#cluster.agree(performance.now() >= deadline);
      const session = { ...beginning, batches, validator, watch, signal: within, status, onBegun };
      yield* this.#record(folder, { ...session, stop, late: options.seconds === undefined ? never : late });
      // Rank 0 speaks for all.
      const speaks = this.#cluster.rank === 0 && this.#end !== "aborted";
      if (this.#validation !== undefined && validator !== undefined && speaks) {
        const loss = this.#validation.crossEntropy;
        this.#notes.push(
          ...(this.model.ofCounts
            ? countNotes(this.#state, loss, this.#untrained, goesOn)
            : marginalNotes(loss, await marginal(validator))),
        );
      }
    } catch (error) {
      failed = true;
      await status?.fail(error);
      if (begins && this.#state.step === 0) await this.#withdraw(folder);
      throw error;
    } finally {
      // Reached when the caller leaves the loop, too.
      if (!failed) await status?.update({ notes: this.#allNotes(source), end: this.#end ?? "left" });
    }
  }

  /** Trains, with what is kept of it in the run's folder. */
  async *#record(
    run: RunFolder | undefined,
    session: Omit<Session, "metrics" | "run">,
  ): AsyncGenerator<StepResult, void, undefined> {
    // Tells at once, not after hours, that nothing can be written; and a run that is killed early can be resumed.
    await this.#save(run);
    await using metrics = run && (await MetricsLog.open(join(run.path, METRICS_FILE), this.#state.step));
    this.#report = emptyReport();
    await session.status?.update();
    let failed = false;
    try {
      this.#end = yield* this.#steps({ ...session, metrics, run });
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      // Reached when the caller leaves the loop, too.
      if (!failed) await this.#save(run);
    }
  }

  /** Step after step with what is due in between. */
  async *#steps(session: Session): AsyncGenerator<StepResult, FitEnd, undefined> {
    const { metrics, run, watch, signal } = session;
    const total = session.steps ?? Number.POSITIVE_INFINITY;
    const every = interval(this.settings.checkpoint.every, session.steps ?? undefined);
    // The validation that an abort or a kill came between.
    const missed = await this.#validate(session);
    if (missed !== undefined) await metrics?.append({ step: this.#state.step, validation: missed });
    await this.#validateUntrained(session);
    await session.onBegun();
    while (this.#state.step < total) {
      if (this.#isStale(session)) return "patience";
      if (await session.stop()) return "aborted";
      const result = await unlessAborted(signal, () => this.#step(session));
      if (result === undefined) return "aborted";
      watch.add(result.crossEntropy);
      const late = await session.late();
      const validation = await this.#validate(session, late);
      const whole = validation === undefined ? result : { ...result, validation };
      await metrics?.append(whole);
      const { step, best } = this.#state;
      const due = step % every === 0 || step === total || late;
      if (due || best?.step === step) {
        await metrics?.flush();
        if (due ? watch.check(step, step === total || late) : watch.good) await this.#save(run);
        await session.status?.update();
      }
      yield whole;
      if (late) return "time";
    }
    return "steps";
  }

  async #step({ batches, schedule, steps, signal }: Session): Promise<StepResult> {
    const start = performance.now();
    const loaded = await batches.take();
    const { step, position, epoch } = loaded;
    const learningRate = this.settings.learningRate * learningRateFactor(schedule, step, steps ?? undefined);
    const stageNext = () => batches.stageNext(this.model.native);
    const cluster = this.#cluster;
    const common = { learningRate, signal, stageNext, cluster };
    const outcome = await trainStep(this.model, loaded, this.settings, common);
    if (step % STEPS_BETWEEN_CHECKS === 0) await requireSameModel(cluster, this.model, step);
    addReport(this.#report, loaded.report);
    const seconds = (performance.now() - start) / 1000;
    this.#state = {
      ...this.#state,
      step,
      position,
      tokens: this.#state.tokens + outcome.tokens,
      seconds: this.#state.seconds + seconds,
    };
    return { step, ...outcome, learningRate, seconds, tokensPerSecond: outcome.tokens / seconds, epoch };
  }

  /** Measures what a model of counts begins with: the base alone, where it is new. */
  async #validateUntrained({ validator, signal }: Session): Promise<void> {
    if (!this.model.ofCounts || this.#state.step > 0) return;
    const result = await unlessAborted(signal, async () => validator?.run(signal));
    this.#untrained = result?.nll;
  }

  /** Whether validations have not become better for as long as the training is patient. */
  #isStale({ steps, schedule }: Session): boolean {
    const { validation, patience } = this.settings;
    const { best, validatedStep } = this.#state;
    if (validation === null || best === null || patience === 0) return false;
    // What comes before the end of the warm-up says little.
    const since = validatedStep - Math.max(best.step, schedule.warmup);
    return since >= Math.max(FEWEST_STALE_STEPS, patience * interval(validation.every, steps ?? undefined));
  }

  /** The result of a validation where one is due (or `wanted`) and none was made at this step; undefined if aborted. */
  async #validate(session: Session, wanted = false): Promise<ValidationResult | undefined> {
    const { validator, watch, signal, steps } = session;
    const { step, validatedStep, best } = this.#state;
    const every = interval(this.settings.validation?.every ?? null, steps ?? undefined);
    const due = wanted || step % every === 0 || step === steps;
    if (validator === undefined || !due || step === validatedStep) return undefined;
    const result = await unlessAborted(signal, () => validator.run(signal));
    if (result === undefined) return undefined;
    this.#validation = result;
    const better = watch.mayBeBest(result.crossEntropy) && (best === null || result.nll < best.nll);
    this.#state = { ...this.#state, validatedStep: step, best: better ? { step, nll: result.nll } : best };
    return result;
  }

  /** Saves a checkpoint of the last step done, unless there is one. */
  async #save(run: RunFolder | undefined): Promise<void> {
    const beginning = this.#beginning;
    if (beginning === undefined || this.#folder === undefined || this.#savedStep === this.#state.step) return;
    const record = { settings: this.settings, ...beginning, state: this.#state };
    if (run === undefined) await helpToSave(this.#cluster, this.model);
    else await saveCheckpoint(run, this.model, record, this.#cluster);
    this.#savedStep = this.#state.step;
  }

  /** What the run is begun with, or was: then the data must be the same. */
  async #begin(source: CellSource, asked: number | undefined): Promise<Beginning> {
    const { validation, where } = this.settings;
    const earlier = this.#beginning;
    const steps = asked ?? earlier?.steps ?? undefined;
    if (steps !== undefined) checkWhole("steps", steps, 1, 1e9);
    const heldOut = validation === null ? null : this.#heldOut(validation);
    const data = await recordData(source, earlier?.data ?? { where, heldOut });
    if (earlier !== undefined) requireSameData(earlier.data, data);
    const schedule =
      earlier !== undefined && earlier.steps === (steps ?? null)
        ? earlier.schedule
        : resolveSchedule(this.settings.schedule ?? undefined, steps);
    return { data, schedule, steps: steps ?? null };
  }

  #heldOut({ fraction, where }: NonNullable<TrainerSettings["validation"]>): HeldOut {
    return where === null
      ? { kind: "fraction", fraction, seed: this.settings.seed }
      : { kind: "where", where };
  }

  /** Takes the memory of the largest batch at once; gives how many bytes the training is to hold at most. */
  async #reserve(source: CellSource, tokenizer: CellTokenizer): Promise<number> {
    const { recompute, accumulation, validation } = this.settings;
    const batch = await largestBatch(source, tokenizer, this.settings, this.#cluster.world);
    const work = { batch, recompute, accumulation, validation: validation !== null };
    await this.model.native.reserve(workloadOf(work));
    const { config, dtype, deviceName: device } = this.model;
    const { optimizerShare } = this.model.native;
    return (await estimateMemory(config, { ...work, dtype, device, optimizerShare })).total;
  }

  /** What a reader of the run should know: of its data, of its training, and of what was left out of its cells. */
  #allNotes(source: CellSource): string[] {
    return [
      ...source.notes.map((note) => `${source.name}: ${note}`),
      ...this.#notes,
      ...describeReport(this.#report, this.model.tokenizer.minGenes),
    ];
  }

  async #validator(
    task: TrainingTask,
    source: CellSource,
    tokenizer: CellTokenizer,
    cells: RunCells,
  ): Promise<Validator | undefined> {
    const { validation, limit, seed } = this.settings;
    if (validation === null) return undefined;
    try {
      return await Validator.create(this.model, task, source, tokenizer, {
        selection: selectionOf(cells, "validation"),
        cells: validation.cells,
        limit,
        seed,
        cluster: this.#cluster,
      });
    } catch (error) {
      // Who named the cells to hold out must hear of it; a share of a handful of cells may well hold none.
      const isShare = validation.where === null;
      if (!isShare || !(error instanceof DdscError && error.code === "DATA_NO_CELLS")) throw error;
      this.#notes.push("no held-out cell expresses enough genes: the training goes on without validation");
      return undefined;
    }
  }

  /** Says what becomes of batches that are larger than the data. */
  #noteBatch({ cellCount }: CellSource): void {
    const { limit } = this.settings;
    if (limit.kind !== "cells" || limit.cells <= cellCount) return;
    this.#notes.push(
      `there are ${cellCount} cells and a batch may have ${limit.cells}: each step is on all training cells at once`,
    );
  }

  /** The batches of the steps to come. */
  #batches(
    task: TrainingTask,
    source: CellSource,
    tokenizer: CellTokenizer,
    { data, steps, laneCells }: Beginning & { readonly laneCells: Int32Array | undefined },
    signal?: AbortSignal,
  ): StepsAhead {
    const { limit, seed, lengthBuckets, lanes, prefetch, worker, accumulation } = this.settings;
    const cluster = this.#cluster;
    const loader = new BatchLoader(source, tokenizer, {
      selection: selectionOf(data, "train"),
      limit,
      seed,
      lengthBuckets,
      lanes,
      prefetch,
      worker,
      share: { rank: cluster.rank, world: cluster.world },
      laneCells,
      start: this.#state.position,
      ...(signal === undefined ? {} : { signal }),
    });
    const first = this.#state.step + 1;
    const last = steps ?? Number.POSITIVE_INFINITY;
    const none = () => noCells(source, tokenizer.minGenes);
    return new StepsAhead(task, loader, { seed, accumulation, first, last, cluster, noCells: none });
  }

  /** The run's folder, locked. */
  async #openFolder(): Promise<RunFolder | undefined> {
    const folder = this.#folder;
    if (folder === undefined || this.#cluster.rank > 0) return undefined;
    if (this.#savedStep === undefined) return RunFolder.create(folder, { overwrite: this.#overwrite });
    const run = await RunFolder.open(folder);
    if ((await run.lastStep()) === this.#savedStep) return run;
    await run[Symbol.asyncDispose]();
    throw new DdscError(
      "RUN_CHANGED",
      `${folder}: another training has gone on with the run since it was resumed here; resume it again`,
      { file: folder },
    );
  }

  /** Takes back a run that this call of `fit` began. Why it failed matters more than what cannot be removed. */
  async #withdraw(run: RunFolder | undefined): Promise<void> {
    this.#beginning = undefined;
    this.#savedStep = undefined;
    await run?.discard().catch(() => undefined);
  }
}
