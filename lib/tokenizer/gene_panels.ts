import { upperBound } from "../base/search.js";
import type { GeneMatch } from "../data/genes/gene_index.js";
import { PanelNumbers } from "../data/sources/panels.js";
import type { CellSource } from "../data/sources/source.js";
import type { GeneMapping } from "./tokenized_cells.js";

/**
 * Which genes of a vocabulary the cells of a source measure. Panels that differ only in genes that the vocabulary does not
 * have are one.
 */
export function mapPanels(
  { panels }: Pick<CellSource, "panels">,
  { ids }: GeneMatch,
  measured: Int32Array,
): Pick<GeneMapping, "panels" | "panelOf"> {
  if (panels === undefined) return { panels: [measured], panelOf: () => 0 };
  const known = new PanelNumbers();
  const numbers = panels.columns.map((columns) =>
    known.numberOf(
      columns
        .map((column) => ids[column] ?? -1)
        .filter((id) => id >= 0)
        .sort(),
    ),
  );
  const { ends, numbers: own } = panels;
  return {
    panels: known.panels,
    panelOf: (row) => numbers[own[upperBound(ends, row)] ?? 0] ?? 0,
  };
}
