import { printable } from "../../base/printable.js";
import { partsText } from "../sources/source_contents.js";
import type { ColumnSummary } from "./column_counter.js";
import type { Quantiles } from "./quantiles.js";
import type { SourceSummary } from "./summary.js";

const BAR_WIDTH = 30;

/** A number with thousands separated, at most one decimal. */
function number(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 1 });
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function quantileLine(title: string, quantiles: Quantiles): string {
  const { min, q25, median, q75, max, mean } = quantiles;
  const five = [min, q25, median, q75, max].map(number).join("  ");
  return `${title.padEnd(24)}${five}   mean ${number(mean)}`;
}

function histogramLines(summary: SourceSummary): string[] {
  const most = Math.max(1, ...summary.genesPerCellHistogram.map(({ cells }) => cells));
  const labels = summary.genesPerCellHistogram.map(({ from, to }) => `${from}-${to - 1}`);
  const width = Math.max(0, ...labels.map((label) => label.length));
  return summary.genesPerCellHistogram.map(({ cells }, i) => {
    const bar = "#".repeat(Math.ceil((BAR_WIDTH * cells) / most));
    return `  ${(labels[i] ?? "").padStart(width)}  ${bar.padEnd(BAR_WIDTH)}  ${number(cells)}`;
  });
}

function columnLine(column: ColumnSummary): string {
  const missing = column.missing === 0 ? "" : `, ${number(column.missing)} missing`;
  if (column.top === undefined) {
    const range = column.range === undefined ? "no values" : `${column.range.min} to ${column.range.max}`;
    return `  ${column.name}: numbers, ${range}${missing}`;
  }
  const values = column.top.map(({ value, cells }) => `${value} ${number(cells)}`).join(", ");
  const more = (column.distinct ?? 0) > column.top.length ? ", ..." : "";
  const atLeast = column.manyValues === true ? "more than " : "";
  return `  ${column.name}: ${atLeast}${number(column.distinct ?? 0)} values${missing}: ${values}${more}`;
}

/** The genes' names, the columns that may hold them, and the matrices that may be read in place of this one. */
function geneLines({ geneNames, genes, geneColumns, anndata }: SourceSummary): string[] {
  const lines = [`genes: ${geneNames.join(", ")}${genes > geneNames.length ? ", ..." : ""}`];
  if (geneColumns.length > 0) lines.push("columns of the table of genes (--gene-column)");
  for (const { name, example } of geneColumns)
    lines.push(`  ${name}${example === undefined ? "" : `: ${example}, ...`}`);
  if (anndata === undefined) return lines;
  const { layers, raw, unread } = anndata;
  lines.push(`layers (--layer): ${layers.length === 0 ? "none" : layers.join(", ")}`);
  lines.push(`raw matrix (--raw): ${raw ? "yes" : "none"}`);
  if (unread.length > 0) lines.push(`not read: ${partsText(unread)}`);
  return lines;
}

/** The summary as lines of text for a terminal; what would do something to it in names is written as escapes. */
export function summaryText(summary: SourceSummary): string {
  const lines = [
    summary.name,
    `${number(summary.cells)} cells x ${number(summary.genes)} genes, ${number(summary.counts)} counts above 0 (${percent(summary.density)} of the matrix)`,
    "",
    `${"a cell".padEnd(24)}min  25%  50%  75%  max`,
    quantileLine("expressed genes", summary.genesPerCell),
    quantileLine("total counts", summary.countsPerCell),
    "",
    "cells by expressed genes",
    ...histogramLines(summary),
    "",
  ];
  let lower = 0;
  const shares = summary.countValues.map(({ upTo, share }) => {
    const label = upTo === null ? `>${lower}` : upTo - lower <= 1 ? `${upTo}` : `${lower + 1}-${upTo}`;
    lower = upTo ?? lower;
    return `${label}: ${percent(share)}`;
  });
  lines.push(`counts above 0: ${shares.join("  ")}${summary.wholeNumbers ? "" : "  (not whole numbers)"}`);
  lines.push(`cells without an expressed gene (skipped in training): ${number(summary.emptyCells)}`);
  lines.push(`genes expressed nowhere: ${number(summary.silentGenes)}`);
  lines.push("", ...geneLines(summary));
  if (summary.columns.length > 0) lines.push("", "cell metadata", ...summary.columns.map(columnLine));
  if (summary.notes.length > 0) lines.push("", "notes", ...summary.notes.map((note) => `  ${note}`));
  return lines.map(printable).join("\n");
}
