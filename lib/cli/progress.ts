import { duration, type Output, withThousands } from "./output.js";

/** Seconds between lines where there is no terminal to draw a bar on. */
const LINE_SECONDS = 10;
/** Seconds between drawings of the bar. */
const BAR_SECONDS = 0.1;
const BAR_WIDTH = 24;

/**
 * Progress of a known number of steps on stderr: one line drawn over and over on a terminal, otherwise a plain line
 * now and then. Time left is counted from the first step seen, so that a resumed run is not thought fast.
 */
export class Progress implements Disposable {
  readonly #output: Output;
  readonly #what: string;
  readonly #total: number;
  readonly #terminal: boolean;
  #start: { readonly done: number; readonly time: number } | undefined;
  #shownAt = Number.NEGATIVE_INFINITY;
  #drawn = false;

  /** @param what of which there are `total`: "step", "cell" */
  constructor(output: Output, what: string, total: number) {
    this.#output = output;
    this.#what = what;
    this.#total = total;
    this.#terminal = process.stderr.isTTY === true;
  }

  /** Shows that `done` are done, where it is time to; `detail` is worked out only then. */
  update(done: number, detail: () => string = () => ""): void {
    const now = performance.now() / 1000;
    this.#start ??= { done, time: now };
    const wait = this.#terminal ? BAR_SECONDS : LINE_SECONDS;
    if (!this.#output.progress || (now - this.#shownAt < wait && done < this.#total)) return;
    this.#shownAt = now;
    const line = [this.#count(done), detail(), this.#left(done, now)]
      .filter((part) => part !== "")
      .join("  ");
    if (!this.#terminal) {
      this.#output.note(line);
      return;
    }
    const width = process.stderr.columns || 80;
    process.stderr.write(`\r\u001b[K${`${bar(done / this.#total)} ${line}`.slice(0, width - 1)}`);
    this.#drawn = true;
  }

  /** A line of its own between drawings of the bar. */
  note(text: string): void {
    this.clear();
    this.#output.note(text);
  }

  /** Takes the bar off the terminal. */
  clear(): void {
    if (this.#drawn) process.stderr.write("\r\u001b[K");
    this.#drawn = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #count(done: number): string {
    return `${this.#what} ${withThousands(done)}/${withThousands(this.#total)}`;
  }

  #left(done: number, now: number): string {
    if (this.#start === undefined || done <= this.#start.done || done >= this.#total) return "";
    const seconds = ((now - this.#start.time) / (done - this.#start.done)) * (this.#total - done);
    return `${duration(seconds)} left`;
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return `[${"#".repeat(full)}${"-".repeat(BAR_WIDTH - full)}]`;
}
