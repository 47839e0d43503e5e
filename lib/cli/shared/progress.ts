import { formatDuration } from "../../training/progress.js";
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
