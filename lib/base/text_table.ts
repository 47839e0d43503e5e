import { printable } from "./printable.js";

/**
 * Lines of a table, columns two spaces apart, a rule below the head, which is the first row. The first `left` columns stand to the
 * left, the others to the right. Names are made `printable`.
 */
export function tableLines(given: readonly (readonly string[])[], left = 1): string[] {
  const rows = given.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  }
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return column < left ? text.padEnd(width) : text.padStart(width);
      })
      .join("  ")
      .trimEnd();
  const rule = line(widths.map((width) => "-".repeat(width)));
  const lines = rows.map(line);
  return [...lines.slice(0, 1), rule, ...lines.slice(1)];
}
