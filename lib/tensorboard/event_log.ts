import { type FileHandle, open } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join, resolve } from "node:path";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkWhole } from "../base/errors.js";
import { fileWriteError, makeFolders } from "../base/files.js";
import type { StepResult } from "../training/fit.js";
import {
  endEvent,
  type Hyperparameter,
  hyperparameterEvents,
  imageEvent,
  scalarEvent,
  startEvent,
  versionEvent,
} from "./events.js";
import { recordOf } from "./records.js";

/** Options of `EventLog.open`. */
export interface EventLogOptions {
  /** Settings of the training, shown in the tab HPARAMS; default none. */
  readonly hyperparameters?: Readonly<Record<string, Hyperparameter>>;
  /** First step that is to come, from 1: what earlier files in the folder have of it and of later ones counts no more. Default 1. */
  readonly firstStep?: number;
}

/** Names of what is written of each step and each validation. */
const VALIDATION = "validation/nll";
let made = 0;

/**
 * An event file that TensorBoard reads and `wandb sync` takes; `await using` or `close()` it. Each opening makes a file of its own in
 * the folder. What is added is written in order; where it cannot be, `close` says so, once.
 */
export class EventLog implements AsyncDisposable {
  /** The file. */
  readonly file: string;
  readonly #handle: FileHandle;
  readonly #hasSettings: boolean;
  #writing: Promise<void> = Promise.resolve();
  #problem: unknown;
  #closed = false;

  private constructor(file: string, handle: FileHandle, hasSettings: boolean) {
    this.file = file;
    this.#handle = handle;
    this.#hasSettings = hasSettings;
  }

  /** Begins a file in a folder, which is made if need be. Throws `FILE_WRITE`, `ARGUMENT_*`. */
  static async open(folder: string, options: EventLogOptions = {}): Promise<EventLog> {
    checkKind("folder", folder, "text");
    checkOptions(options, { hyperparameters: "object" });
    const { hyperparameters = {} } = options;
    const first = checkWhole("firstStep", options.firstStep ?? 1, 1, 1e9);
    const seconds = now();
    const name = `events.out.tfevents.${Math.floor(seconds)}.${hostname()}.${process.pid}.${made++}`;
    const file = join(folder, name);
    const settings = new Map(Object.entries(hyperparameters));
    try {
      await makeFolders(folder);
      const log = new EventLog(file, await open(file, "wx"), settings.size > 0);
      log.#add(versionEvent(seconds));
      log.#add(startEvent(seconds, first));
      if (settings.size > 0) {
        const events = hyperparameterEvents(seconds, basename(resolve(folder)), settings, [
          VALIDATION,
          "train/loss",
        ]);
        for (const event of events) log.#add(event);
      }
      await log.flush();
      return log;
    } catch (error) {
      throw fileWriteError(file, error);
    }
  }

  /** Adds the figures of a step, and of its validation where it had one; numbers that are not finite are left out. */
  addStep(result: StepResult): void {
    const { step, loss, learningRate, gradientNorm, tokensPerSecond, validation } = result;
    this.addScalars(step, {
      "train/loss": loss,
      "train/learning_rate": learningRate,
      "train/gradient_norm": gradientNorm,
      "train/tokens_per_second": tokensPerSecond,
      ...(validation === undefined
        ? {}
        : {
            [VALIDATION]: validation.nll,
            "validation/cross_entropy": validation.crossEntropy,
            "validation/accuracy": validation.accuracy,
          }),
    });
  }

  /** Adds numbers by their tags, such as "evaluation/nats". Those that are not finite are left out. */
  addScalars(step: number, scalars: Readonly<Record<string, number>>): void {
    const finite = Object.entries(scalars).filter(([, value]) => Number.isFinite(value));
    if (finite.length > 0) this.#add(scalarEvent(now(), step, new Map(finite)));
  }

  /** Adds a picture by its tag. Throws `ARGUMENT_TYPE` for what is no PNG. */
  addImage(step: number, tag: string, png: Uint8Array): void {
    checkKind("tag", tag, "text");
    this.#add(imageEvent(now(), step, tag, png));
  }

  /** Waits until all that was added is in the file. Throws `FILE_WRITE` where some could not be written. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#problem !== undefined) throw fileWriteError(this.file, this.#problem);
  }

  /**
   * Ends the file.
   * @param succeeded whether the training did, for the tab HPARAMS; default true
   * Throws `FILE_WRITE` where something that was added could not be written.
   */
  async close(succeeded = true): Promise<void> {
    if (this.#closed) return;
    if (this.#hasSettings) this.#add(endEvent(now(), succeeded));
    this.#closed = true;
    await this.#writing;
    await this.#handle.close();
    await this.flush();
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #add(event: Uint8Array): void {
    if (this.#closed) return;
    this.#writing = this.#writing.then(async () => {
      if (this.#problem !== undefined) return;
      try {
        await this.#handle.appendFile(recordOf(event));
      } catch (error) {
        this.#problem = error;
      }
    });
  }
}

function now(): number {
  return Date.now() / 1000;
}
