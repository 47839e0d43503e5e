import { hostname } from "node:os";
import { join } from "node:path";
import { DdscError } from "../base/errors.js";
import { isObject, type JsonObject, parseJson } from "../base/json.js";
import { writeFileAtomic } from "../base/publish.js";
import { readWhole } from "../base/regular_files.js";

/** Name of the file in a run's folder that says what its metrics do not. */
export const STATUS_FILE = "status.json";

const FORMAT = "ddsc-status";
const VERSION = 1;
/** Bounds of what is written, so that reading it takes no more than `MOST_BYTES`. */
const MOST_NOTES = 40;
const LONGEST_TEXT = 800;
const MOST_BYTES = 2 ** 18;

/** What a validation is compared with. */
export interface StatusBaseline {
  /** What predicts: "gene marginal", "negative binomial at depth", "before the first step". */
  readonly name: string;
  /** As `ValidationResult.crossEntropy`. */
  readonly crossEntropy: number;
}

/** What a training says of itself to other processes. Texts are cut short, and there are few of them. */
export interface RunStatus {
  /** Of the process that trains, or trained last. */
  readonly pid: number;
  readonly host: string;
  /** When this training of the run began and when this was written: as `Date.toISOString`. */
  readonly begun: string;
  readonly updated: string;
  /** Steps in all; null: no end. */
  readonly steps: number | null;
  /** What the model is of. */
  readonly values: "counts" | "ranks";
  readonly device: string;
  readonly parameters: number;
  readonly data: { readonly name: string; readonly cells: number; readonly genes: number };
  /** Bytes: what the training plans to take of the device's memory at most, and what the process held when this was written. */
  readonly memory: { readonly planned: number; readonly held: number };
  readonly baselines: readonly StatusBaseline[];
  readonly notes: readonly string[];
  /** How it ended, as `FitEnd`; "left": the program ended the loop; null: it runs, or was killed. */
  readonly end: "steps" | "time" | "patience" | "aborted" | "failed" | "left" | null;
  /** What ended it where it failed. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** What a training knows of itself when it begins. */
export interface StatusFacts
  extends Pick<RunStatus, "steps" | "values" | "device" | "parameters" | "data" | "baselines" | "notes"> {
  /** As `RunStatus.memory.planned`. */
  readonly planned: number;
}

/** Writes the status of a run that this process trains. Nothing here ever fails: a training matters more than what is said of it. */
export class StatusFile {
  readonly #file: string;
  #status: RunStatus;

  /** Writes nothing yet. */
  constructor(folder: string, { planned, ...facts }: StatusFacts) {
    const now = new Date().toISOString();
    this.#file = join(folder, STATUS_FILE);
    this.#status = {
      ...facts,
      data: { ...facts.data, name: short(facts.data.name) },
      pid: process.pid,
      host: hostname(),
      begun: now,
      updated: now,
      memory: { planned, held: process.memoryUsage.rss() },
      end: null,
      error: null,
    };
  }

  /** What validations are compared with, as far as it is known. */
  get baselines(): readonly StatusBaseline[] {
    return this.#status.baselines;
  }

  /** Writes what is known now, with the changes given. */
  async update(changes: Partial<Pick<RunStatus, "baselines" | "notes" | "end">> = {}): Promise<void> {
    const { planned } = this.#status.memory;
    const notes = changes.notes ?? this.#status.notes;
    this.#status = {
      ...this.#status,
      ...changes,
      notes: notes.slice(0, MOST_NOTES).map(short),
      updated: new Date().toISOString(),
      memory: { planned, held: process.memoryUsage.rss() },
    };
    const json = { format: FORMAT, version: VERSION, ...this.#status };
    await writeFileAtomic(this.#file, `${JSON.stringify(json, null, 2)}\n`).catch(() => undefined);
  }

  /** Says what the training failed with. */
  async fail(error: unknown): Promise<void> {
    const known = error instanceof DdscError;
    const message = known ? error.text : error instanceof Error ? error.message : String(error);
    this.#status = {
      ...this.#status,
      error: { code: known ? error.code : "INTERNAL", message: short(message) },
    };
    await this.update({ end: "failed" });
  }
}

/**
 * What the last training in a run's folder says of itself; undefined where it says nothing, as those of older packages, and where
 * the file is none of this package's, is damaged or too large.
 */
export async function readStatus(folder: string): Promise<RunStatus | undefined> {
  try {
    return statusFrom(parseJson(await readWhole(join(folder, STATUS_FILE), MOST_BYTES)));
  } catch {
    return undefined;
  }
}

function short(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT - 3)}...`;
}

const ENDS: ReadonlySet<unknown> = new Set(["steps", "time", "patience", "aborted", "failed", "left"]);

/** Throws where it is no status. */
function statusFrom(json: unknown): RunStatus {
  const status = objectFrom(json);
  if (status.format !== FORMAT || status.version !== VERSION) throw new TypeError("no status");
  const data = objectFrom(status.data);
  const memory = objectFrom(status.memory);
  return {
    pid: numberFrom(status.pid),
    host: textFrom(status.host),
    begun: textFrom(status.begun),
    updated: textFrom(status.updated),
    steps: status.steps === null ? null : numberFrom(status.steps),
    values: status.values === "ranks" ? "ranks" : "counts",
    device: textFrom(status.device),
    parameters: numberFrom(status.parameters),
    data: { name: textFrom(data.name), cells: numberFrom(data.cells), genes: numberFrom(data.genes) },
    memory: { planned: numberFrom(memory.planned), held: numberFrom(memory.held) },
    baselines: listFrom(status.baselines)
      .map(objectFrom)
      .map(({ name, crossEntropy }) => ({ name: textFrom(name), crossEntropy: numberFrom(crossEntropy) })),
    notes: listFrom(status.notes).map(textFrom),
    end: ENDS.has(status.end) ? (status.end as RunStatus["end"]) : null,
    error: status.error === null ? null : errorFrom(objectFrom(status.error)),
  };
}

function errorFrom({ code, message }: JsonObject): RunStatus["error"] {
  return { code: textFrom(code), message: textFrom(message) };
}

function objectFrom(value: unknown): JsonObject {
  if (!isObject(value)) throw new TypeError("no object");
  return value;
}

function listFrom(value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length > MOST_NOTES) throw new TypeError("no short list");
  return value;
}

function textFrom(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("no text");
  return short(value);
}

function numberFrom(value: unknown): number {
  if (typeof value !== "number") throw new TypeError("no number");
  return value;
}
