import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DdscError } from "../lib/base/errors.js";
import type { SubjectKind, SubjectOptions } from "./subjects.js";

/** What a worker is asked to measure. `threads`, `shape` and the like are for workers that do not know them otherwise. */
export type WorkerCase = SubjectOptions & { readonly what: SubjectKind } & Readonly<Record<string, unknown>>;

/** One run of what is measured. */
export interface Run {
  readonly seconds: number;
  /** Runs of the network a cell; null where that is no matter of course. */
  readonly evaluations: number | null;
}

/** A worker's line; which fields it has hangs on what it was asked. */
interface Answer {
  readonly device?: string;
  readonly peer?: string;
  readonly seconds?: unknown;
  readonly evaluations?: unknown;
  readonly error?: string;
}

/** A program that measures one thing at a time: a line of JSON in, a line of JSON out. */
export class LineWorker implements AsyncDisposable {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** Starts `command` with `env` added to the environment; its stderr is ours. */
  constructor(name: string, command: readonly string[], env: Readonly<Record<string, string>>) {
    const [program = "", ...words] = command;
    this.#name = name;
    this.#child = spawn(program, words, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    // What went wrong shows as the end of its answers.
    this.#child.on("error", () => undefined);
    this.#child.stdin?.on("error", () => undefined);
    const { stdout } = this.#child;
    if (stdout === null) throw new DdscError("BENCH_PEER", `${name} cannot be started`);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Makes what is to be measured; returns what the worker says of itself. Throws `BENCH_PEER`. */
  async open(one: WorkerCase): Promise<{ readonly device?: string; readonly peer?: string }> {
    return await this.#ask({ open: one });
  }

  /** Runs it once. Throws `BENCH_PEER`. */
  async run(): Promise<Run> {
    const { seconds, evaluations } = await this.#ask({ run: true });
    if (typeof seconds !== "number") throw this.#failure("it answered without a time");
    return { seconds, evaluations: typeof evaluations === "number" ? evaluations : null };
  }

  /** Ends the program. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.pid === undefined) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    await ended;
  }

  async #ask(request: object): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw this.#failure("it ended without an answer");
    const answer = JSON.parse(value) as Answer;
    if (answer.error !== undefined) throw this.#failure(answer.error);
    return answer;
  }

  #failure(reason: string): DdscError {
    return new DdscError("BENCH_PEER", `${this.#name}: ${reason}`);
  }
}

/** This package's own worker (worker.ts). */
export function ownWorker(env: Readonly<Record<string, string>>): LineWorker {
  const script = fileURLToPath(new URL("./worker.ts", import.meta.url));
  return new LineWorker("ddsc", [process.execPath, "--import", "tsx", script], env);
}
