import { printable } from "../base/printable.js";

/** Characters of a text out of a file that a page shows. */
const MOST_CHARACTERS = 1000;

/** Text out of a file as Markdown shows it: nothing in it is markup, a link, HTML or a line of its own. */
export function escaped(text: string): string {
  const cut = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text;
  return printable(cut)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll(/[\\`*_[\]|#~]/g, (character) => `\\${character}`)
    .replaceAll("://", "&#58;//");
}

/** Lines of a table; its cells are Markdown. */
export function tableOf(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows.map(line)];
}
