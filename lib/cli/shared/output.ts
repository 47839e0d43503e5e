import type { Writable } from "node:stream";
import { printable } from "../../base/printable.js";
import { tableLines } from "../../base/text_table.js";

export { withThousands } from "../../base/thousands.js";

/**
 * Where a command writes: results to stdout, progress and notes to stderr, so that a pipe gets results alone. What it writes
 * does nothing to a terminal, whatever the names in it: see `printable`.
 */
export class Output {
  readonly #results: Writable | undefined;
  readonly #notes: Writable;
  #progress: boolean;
  #isSilent = false;

  /** `results` undefined: nobody wants to read them, as they come as one object. */
  constructor(options: {
    readonly results: Writable | undefined;
    readonly notes: Writable;
    readonly quiet: boolean;
  }) {
    this.#results = options.results;
    this.#notes = options.notes;
    this.#progress = !options.quiet;
  }

  /** Whether progress is wanted. */
  get progress(): boolean {
    return this.#progress;
  }

  /** Writes nothing from here on, as another process says it all. */
  silence(): void {
    this.#isSilent = true;
    this.#progress = false;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** A line of results; empty for a blank line. */
  line(text = ""): void {
    if (!this.#isSilent) this.#results?.write(`${printable(text)}\n`);
  }

  /** Several lines of results, as the package's own tables come; names in them have no line breaks any more. */
  lines(text: string): void {
    for (const line of text.split("\n")) this.line(line);
  }

  /** A line on stderr that a reader should see once: what was skipped, chosen or assumed. */
  note(text: string): void {
    if (!this.#isSilent) this.#notes.write(`${printable(text)}\n`);
  }

  /** A table with its first column to the left and the others to the right; the first row is its head. */
  table(rows: readonly (readonly string[])[]): void {
    for (const line of tableLines(rows)) this.line(line);
  }
}
