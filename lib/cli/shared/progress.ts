import { formatDuration } from "../../base/duration.js";
import { type Output, withThousands } from "./output.js";

/** Milliseconds between updates on a terminal, and between plain lines. */
const TERMINAL_INTERVAL = 200;
const LINE_INTERVAL = 5000;

/** Shows on stderr how many cells are done: in place on a terminal, otherwise in a plain line now and then. */
export class CellProgress implements Disposable {
  readonly #output: Output;
  readonly #total: number;
  readonly #terminal = process.stderr.isTTY === true;
  readonly #startedAt = performance.now();
  #shownAt = this.#startedAt;
  #drawn = false;

  constructor(output: Output, total: number) {
    this.#output = output;
    this.#total = total;
  }

  /** Takes in that `done` cells are done, of the total or of so many; shows it if it is time to. */
  update(done: number, total = this.#total): void {
    const now = performance.now();
    const interval = this.#terminal ? TERMINAL_INTERVAL : LINE_INTERVAL;
    if (!this.#output.progress || done === 0 || now - this.#shownAt < interval) return;
    this.#shownAt = now;
    const left = ((now - this.#startedAt) / 1000 / done) * (total - done);
    const line = `cell ${withThousands(done)}/${withThousands(total)}  ${formatDuration(left)} left`;
    if (this.#terminal) process.stderr.write(`\r${line}\u001b[K`);
    else this.#output.note(line);
    this.#drawn = this.#terminal;
  }

  /** Takes the line off the terminal. */
  clear(): void {
    if (this.#drawn) process.stderr.write("\r\u001b[K");
    this.#drawn = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/** Characters of the bar. */
const BAR = 24;

/**
 * Shows on stderr how much of a task in stages is done: a bar in place on a terminal, with the seconds that it has taken, otherwise a
 * plain line for each stage.
 */
export class StageProgress implements Disposable {
  readonly #output: Output;
  readonly #terminal = process.stderr.isTTY === true;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #share = 0;
  #what = "";
  #drawn = false;

  constructor(output: Output) {
    this.#output = output;
    if (!this.#terminal || !output.progress) return;
    this.#timer = setInterval(() => this.#draw(), 1000);
    this.#timer.unref();
  }

  /** Takes in that a share, 0..1, is done, and what is being done; shows it. */
  update(share: number, what: string): void {
    const isNew = what !== this.#what;
    this.#share = share;
    this.#what = what;
    if (!this.#output.progress) return;
    if (this.#terminal) this.#draw();
    else if (isNew) this.#output.note(`${Math.round(100 * share)}%  ${what}`);
  }

  /** Takes the bar off the terminal. */
  clear(): void {
    if (this.#drawn) process.stderr.write("\r\u001b[K");
    this.#drawn = false;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #draw(): void {
    if (this.#what === "") return;
    const full = Math.round(BAR * Math.min(1, Math.max(0, this.#share)));
    const bar = `${"#".repeat(full)}${".".repeat(BAR - full)}`;
    const taken = formatDuration((performance.now() - this.#startedAt) / 1000);
    process.stderr.write(`\r[${bar}] ${Math.round(100 * this.#share)}%  ${this.#what}  ${taken}\u001b[K`);
    this.#drawn = true;
  }
}
