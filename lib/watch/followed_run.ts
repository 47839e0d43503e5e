import { createHash } from "node:crypto";
import { readlink, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DdscError } from "../base/errors.js";
import { printable } from "../base/printable.js";
import { METRICS_FILE } from "../training/metrics.js";
import { type MetricsLine, readMetrics } from "../training/metrics_lines.js";
import { RunLock } from "../training/run_lock.js";
import { type RunStatus, readStatus } from "../training/run_status.js";
import { readRecord } from "../training/state.js";
import { Curve, rounded } from "./curve.js";
import type { CurveChange, RunInfo, RunState, ValidationChange, WatchEvent } from "./messages.js";

/** Points of a curve, and validations, that are kept and sent at most. */
const MOST_POINTS = 2000;
/** Steps that speed and time left are worked out from. */
const RECENT_STEPS = 20;
/** Bytes of metrics that are read at a time. */
const READ_AT_ONCE = 8 * 2 ** 20;
const LONGEST_NAME = 300;
const LONGEST_TEXT = 1000;

interface Validation {
  readonly step: number;
  readonly crossEntropy: number | null;
}

/** What a checkpoint's own file says, for runs of packages that wrote no status. */
interface Recorded {
  readonly steps: number | null;
  readonly data: string;
  readonly cells: number;
  readonly genes: number;
  readonly values: "counts" | "ranks";
}

/** Follows one run by the files in its folder, whichever process trains it. Never writes, never fails for what it finds. */
export class FollowedRun {
  readonly id: string;
  readonly folder: string;
  readonly #name: string;
  readonly #curve = new Curve(MOST_POINTS);
  #validations: Validation[] = [];
  /** The first validation that changed since it was told; infinite: none. */
  #changedValidation = Number.POSITIVE_INFINITY;
  #recent: MetricsLine[] = [];
  /** Bytes of the metrics that were read, and of which file. */
  #end = 0;
  #file = "";
  /** When the training began that the metrics were read of. */
  #begun: string | undefined;
  #recorded: { readonly of: string; readonly record: Recorded | undefined } | undefined;
  #info: RunInfo | undefined;
  #sentInfo = "";

  /** @param folder as the user named it */
  constructor(folder: string) {
    this.folder = folder;
    this.id = createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 16);
    this.#name = shown(folder, LONGEST_NAME);
  }

  /** Reads what has changed and gives it. */
  async poll(): Promise<WatchEvent[]> {
    const status = await readStatus(this.folder);
    await this.#readMetrics(status?.begun);
    this.#info = await this.#describe(status);
    return this.#changes();
  }

  /** All that there is, as it was read last. */
  snapshot(): WatchEvent[] {
    if (this.#info === undefined) return [];
    return [
      { name: "run", data: this.#info },
      { name: "curve", data: this.#curveFrom(0) },
      { name: "validations", data: this.#validationsFrom(0) },
    ];
  }

  #changes(): WatchEvent[] {
    const events: WatchEvent[] = [];
    const text = JSON.stringify(this.#info);
    if (this.#info !== undefined && text !== this.#sentInfo) events.push({ name: "run", data: this.#info });
    this.#sentInfo = text;
    const changed = this.#curve.takeChange();
    if (changed !== undefined) events.push({ name: "curve", data: this.#curveFrom(changed) });
    if (Number.isFinite(this.#changedValidation))
      events.push({ name: "validations", data: this.#validationsFrom(this.#changedValidation) });
    this.#changedValidation = Number.POSITIVE_INFINITY;
    return events;
  }

  #curveFrom(from: number): CurveChange {
    return { id: this.id, from, width: this.#curve.width, ...this.#curve.from(from) };
  }

  #validationsFrom(from: number): ValidationChange {
    const some = this.#validations.slice(from);
    return {
      id: this.id,
      from,
      steps: some.map(({ step }) => step),
      crossEntropy: some.map(({ crossEntropy }) => rounded(crossEntropy)),
    };
  }

  async #readMetrics(begun: string | undefined): Promise<void> {
    const file = join(this.folder, METRICS_FILE);
    const found = await stat(file, { bigint: true }).catch(() => undefined);
    const name = found === undefined ? "" : `${found.dev} ${found.ino} ${found.birthtimeNs}`;
    // Another file, or the same that a training which went on has cut: what was read may be undone.
    if (name !== this.#file || begun !== this.#begun || Number(found?.size ?? 0) < this.#end) this.#forget();
    this.#file = name;
    this.#begun = begun;
    if (found === undefined) return;
    for (let last = -1; last !== this.#end; ) {
      last = this.#end;
      const read = await readMetrics(file, this.#end, READ_AT_ONCE).catch(() => undefined);
      if (read === undefined) return;
      if (read.end < this.#end) this.#forget();
      this.#end = read.end;
      for (const line of read.lines) this.#take(line);
    }
  }

  #forget(): void {
    this.#curve.clear();
    this.#validations = [];
    this.#changedValidation = 0;
    this.#recent = [];
    this.#end = 0;
  }

  #take(line: MetricsLine): void {
    const { step, loss, validation } = line;
    // A validation that was made late has a line without a loss, at a step that is there.
    if (loss !== null || line.seconds !== null) {
      this.#curve.add(line);
      if ((this.#recent.at(-1)?.step ?? 0) >= step) this.#recent = [];
      this.#recent = [...this.#recent.slice(1 - RECENT_STEPS), line];
    }
    const before = this.#validations.length;
    while ((this.#validations.at(-1)?.step ?? -1) >= step) this.#validations.pop();
    if (validation !== null) this.#validations.push({ step, crossEntropy: validation.crossEntropy });
    if (validation !== null || this.#validations.length !== before)
      this.#changedValidation = Math.min(this.#changedValidation, this.#validations.length - 1);
    if (this.#validations.length > MOST_POINTS) {
      this.#validations = this.#validations.filter((_, index) => index % 2 === 0);
      this.#changedValidation = 0;
    }
    this.#changedValidation = Math.max(0, this.#changedValidation);
  }

  async #describe(status: RunStatus | undefined): Promise<RunInfo> {
    const checkpoint = await this.#checkpoint();
    const recorded = status === undefined ? await this.#record(checkpoint?.step) : undefined;
    const step = Math.max(this.#curve.lastStep, checkpoint?.step ?? 0);
    const steps = status === undefined ? (recorded?.steps ?? null) : status.steps;
    const locked = await this.#isLocked();
    const [state, stateText] = stateOf(status, locked, step, steps);
    const seconds = mean(this.#recent.map((line) => line.seconds));
    const last = this.#validations.findLast(({ crossEntropy }) => crossEntropy !== null);
    const data = status?.data;
    return {
      id: this.id,
      name: this.#name,
      state,
      stateText,
      values: status?.values ?? recorded?.values ?? null,
      data: textOrNull(data?.name ?? recorded?.data),
      cells: data?.cells ?? recorded?.cells ?? null,
      genes: data?.genes ?? recorded?.genes ?? null,
      device: textOrNull(status?.device),
      parameters: status?.parameters ?? null,
      step,
      steps,
      secondsLeft:
        state !== "training" || steps === null || seconds === null
          ? null
          : rounded(Math.max(0, steps - step) * seconds),
      tokensPerSecond: rounded(mean(this.#recent.map((line) => line.tokensPerSecond))),
      loss: rounded(mean(this.#recent.map((line) => line.loss))),
      validation: last === undefined ? null : { step: last.step, crossEntropy: last.crossEntropy ?? 0 },
      baselines: (status?.baselines ?? []).map(({ name, crossEntropy }) => ({
        name: shown(name, LONGEST_NAME),
        crossEntropy,
      })),
      memory: status?.memory ?? null,
      checkpoint,
      notes: (status?.notes ?? []).map((note) => shown(note, LONGEST_TEXT)),
      error:
        status?.error == null
          ? null
          : {
              code: shown(status.error.code, LONGEST_NAME),
              message: shown(status.error.message, LONGEST_TEXT),
            },
    };
  }

  /** Whether a training holds the folder. */
  async #isLocked(): Promise<boolean> {
    try {
      await RunLock.check(this.folder);
      return false;
    } catch (error) {
      return error instanceof DdscError && error.code === "RUN_LOCKED";
    }
  }

  async #checkpoint(): Promise<RunInfo["checkpoint"]> {
    const [last, best] = await Promise.all(
      ["last", "best"].map(async (link) => {
        const target = await readlink(join(this.folder, link)).catch(() => "");
        return /^step-\d{1,15}$/.test(target) ? Number(target.slice("step-".length)) : null;
      }),
    );
    if (last === null || last === undefined) return null;
    const found = await stat(join(this.folder, `step-${last}`)).catch(() => undefined);
    return found === undefined ? null : { step: last, best: best ?? null, saved: found.mtime.toISOString() };
  }

  /** What the checkpoint of a step says; it never changes. */
  async #record(step: number | undefined): Promise<Recorded | undefined> {
    if (step === undefined) return undefined;
    const of = `step-${step}`;
    if (this.#recorded?.of !== of) {
      const record = await readRecord(join(this.folder, of)).catch(() => undefined);
      this.#recorded = {
        of,
        record: record && {
          steps: record.steps,
          data: record.data.name,
          cells: record.data.cells,
          genes: record.data.genes,
          values: record.settings.queries === null ? "ranks" : "counts",
        },
      };
    }
    return this.#recorded?.record;
  }
}

/** What a run is doing, and that in words. */
function stateOf(
  status: RunStatus | undefined,
  locked: boolean,
  step: number,
  steps: number | null,
): [RunState, string] {
  if (locked) return ["training", "training"];
  if (status === undefined) {
    const done = steps !== null && step >= steps;
    return done ? ["finished", "finished: all steps done"] : ["stopped", "not training"];
  }
  switch (status.end) {
    case "steps":
      return ["finished", "finished: all steps done"];
    case "time":
      return ["finished", "finished: its time was up"];
    case "patience":
      return ["finished", "finished: validation got no better"];
    case "aborted":
    case "left":
      return ["stopped", "stopped: can be resumed"];
    case "failed":
      return ["failed", "failed"];
    case null:
      return ["killed", "its process is gone: can be resumed"];
  }
}

function mean(values: readonly (number | null)[]): number | null {
  const some = values.filter((value) => value !== null);
  return some.length === 0 ? null : some.reduce((sum, value) => sum + value, 0) / some.length;
}

/** Text out of a file, in one line and not too long. */
function shown(text: string, longest: number): string {
  const cut = text.length <= longest ? text : `${text.slice(0, longest - 3)}...`;
  return printable(cut);
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined ? null : shown(text, LONGEST_NAME);
}
