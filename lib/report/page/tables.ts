import { escaped } from "../../plots/markup.js";
import { clip } from "../collect/texts.js";

/** A value of a table. */
export type TableValue = string | number | null;

/** A table as HTML in a frame that scrolls by itself, of at most `most` rows. */
export function tableHtml(
  table: { readonly columns: readonly string[]; readonly rows: readonly (readonly TableValue[])[] },
  name: string,
  most: number,
): string {
  const { columns, rows } = table;
  const some = rows.slice(0, most);
  const left = rows.length - some.length;
  const caption = `${name}${left > 0 ? `: the first ${some.length} of ${rows.length} rows` : ""}`;
  const head = columns.map((column) => `<th scope="col">${escaped(clip(column))}</th>`).join("");
  const body = some.map((row) => `<tr>${row.map((value) => `<td>${cellText(value)}</td>`).join("")}</tr>`);
  return (
    `<div class="table" role="region" tabindex="0" aria-label="${escaped(name)}"><table><caption>${escaped(caption)}</caption>` +
    `<thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`
  );
}

function cellText(value: TableValue): string {
  if (value === null) return "–";
  if (typeof value === "string") return escaped(clip(value));
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
}
