import type { Writable } from "node:stream";
import { printable } from "../../base/printable.js";

export { withThousands } from "../../base/thousands.js";

/**
 * Where a command writes: results to stdout, progress and notes to stderr, so that a pipe gets results alone. What it writes
 * does nothing to a terminal, whatever the names in it: see `printable`.
 */
export class Output {
  readonly #results: Writable | undefined;
  readonly #notes: Writable;
  /** Whether progress is wanted. */
  readonly progress: boolean;

  /** `results` undefined: nobody wants to read them, as they come as one object. */
  constructor(options: {
    readonly results: Writable | undefined;
    readonly notes: Writable;
    readonly quiet: boolean;
  }) {
    this.#results = options.results;
    this.#notes = options.notes;
    this.progress = !options.quiet;
  }

  /** A line of results; empty for a blank line. */
  line(text = ""): void {
    this.#results?.write(`${printable(text)}\n`);
  }

  /** Several lines of results, as the package's own tables come; names in them have no line breaks any more. */
  lines(text: string): void {
    for (const line of text.split("\n")) this.line(line);
  }

  /** A line on stderr that a reader should see once: what was skipped, chosen or assumed. */
  note(text: string): void {
    this.#notes.write(`${printable(text)}\n`);
  }

  /** A table with its first column to the left and the others to the right; the first row is its head. */
  table(rows: readonly (readonly string[])[]): void {
    for (const line of tableLines(rows)) this.line(line);
  }
}

/** Lines of a table, columns two spaces apart, a rule below the head. */
export function tableLines(given: readonly (readonly string[])[]): string[] {
  const rows = given.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  const lines = rows.map((row) =>
    row
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? text.padEnd(width) : text.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [...lines.slice(0, 1), rule, ...lines.slice(1)];
}
