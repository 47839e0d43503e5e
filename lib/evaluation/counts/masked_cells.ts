import { checkNumber, checkSeed, DdscError } from "../../base/errors.js";
import { Purpose, RandomStream } from "../../base/random.js";
import { estimateDepth } from "../../counts/count_base.js";
import { type HiddenGenes, sliceGenes } from "../../counts/count_cells.js";
import { type CountBase, type CountCells, cellCount, checkCellArrays, measuredGenes } from "./count_cells.js";

export type { HiddenGenes } from "../../counts/count_cells.js";

/**
 * Cells with some genes hidden, and the genes that are asked about: what every method sees. A measured gene that is neither
 * hidden nor listed as visible has the visible count 0.
 */
export interface MaskedCells {
  /** Place of each cell among those that are evaluated, [cells]: for methods that look up more of a cell. */
  readonly cells: Int32Array;
  /** Which genes were measured. */
  readonly panels: Int32Array;
  readonly panelGenes: readonly Int32Array[];
  /** Which of them are hidden. */
  readonly hidden: HiddenGenes;
  /** Which genes are asked about: the hidden ones, or some of them; all measured ones where nothing is hidden. */
  readonly queries: HiddenGenes;
  /** Bounds of each cell in `visibleGenes` and `visibleCounts`, [cells + 1]. */
  readonly visibleOffsets: Int32Array;
  /** Visible genes with a count above 0, ascending within a cell, and the counts. */
  readonly visibleGenes: Int32Array;
  readonly visibleCounts: Int32Array;
  /** Sum of the visible counts V and of the visible genes' shares S, [cells]. */
  readonly visibleTotal: Float64Array;
  readonly visibleShare: Float64Array;
  /** Group of each cell, such as its type. */
  readonly labels?: readonly (string | undefined)[];
}

/** Depth of a masked cell, L = (V + a) / (S + a / mean depth): its total as the visible genes tell it. */
export function estimatedDepth(masked: MaskedCells, cell: number, base: CountBase): number {
  return estimateDepth(base, masked.visibleTotal[cell] as number, masked.visibleShare[cell] as number);
}

/**
 * Hides a share of each cell's measured genes: round(ratio * measured) of them, at least one and at most all, each set as likely.
 * Decided by the stream `Purpose.hide` of the seed at the cell's place.
 */
export function hideGenes(cells: CountCells, ratio: number, seed: number): HiddenGenes {
  checkCellArrays("cells", cells);
  checkNumber("ratio", ratio, { min: 0, max: 1 });
  checkSeed(seed);
  const chosen = Array.from(cells.panels, (_, cell) => {
    const measured = measuredGenes(cells, cell);
    const hidden = Math.min(measured.length, Math.max(1, Math.round(ratio * measured.length)));
    return sampleOf(measured, hidden, new RandomStream(seed, Purpose.hide, 0, cell));
  });
  return joined(chosen);
}

/** At most `most` genes of each cell's, chosen at random: what is asked about where asking about all would take too long. */
export function someOf(hidden: HiddenGenes, most: number, seed: number): HiddenGenes {
  const parts = Array.from({ length: hidden.offsets.length - 1 }, (_, cell) => {
    const genes = hidden.genes.subarray(hidden.offsets[cell], hidden.offsets[cell + 1]);
    if (genes.length <= most) return genes;
    return sampleOf(genes, most, new RandomStream(seed, Purpose.query, 0, cell));
  });
  return joined(parts);
}

/** Nothing hidden, and every measured gene asked about: a cell to denoise. */
export function askAll(cells: CountCells, first: number, end: number, base: CountBase): MaskedCells {
  const measured = Array.from({ length: end - first }, (_, i) => measuredGenes(cells, first + i));
  const none = { offsets: new Int32Array(cellCount(cells) + 1), genes: new Int32Array(0) };
  return { ...maskCells(cells, none, first, end, base), queries: joined(measured) };
}

/**
 * Cells first .. end - 1 with genes hidden; all hidden ones are asked about unless `queries` names fewer.
 * Throws `ARGUMENT_RANGE` for a hidden gene that was not measured or is out of order.
 */
export function maskCells(
  cells: CountCells,
  hidden: HiddenGenes,
  first: number,
  end: number,
  base: CountBase,
  queries: HiddenGenes = hidden,
): MaskedCells {
  const size = end - first;
  const start = cells.offsets[first] as number;
  const visibleOffsets = new Int32Array(size + 1);
  const visibleGenes = new Int32Array((cells.offsets[end] as number) - start);
  const visibleCounts = new Int32Array(visibleGenes.length);
  const visibleTotal = new Float64Array(size);
  const visibleShare = new Float64Array(size);
  const panels = cells.panels.slice(first, end);
  const isHidden = new Uint8Array(base.share.length);
  let kept = 0;
  for (let i = 0; i < size; i++) {
    const from = hidden.offsets[first + i] as number;
    const to = hidden.offsets[first + i + 1] as number;
    for (let j = from; j < to; j++) isHidden[hidden.genes[j] as number] = 1;
    let found = 0;
    let share = 0;
    for (const gene of measuredGenes(cells, first + i)) {
      if (isHidden[gene] === 1) found++;
      else share += base.share[gene] as number;
    }
    if (found !== to - from) throw notMeasured(first + i);
    let total = 0;
    for (let j = cells.offsets[first + i] as number; j < (cells.offsets[first + i + 1] as number); j++) {
      const gene = cells.genes[j] as number;
      if (isHidden[gene] === 1) continue;
      visibleGenes[kept] = gene;
      visibleCounts[kept++] = cells.counts[j] as number;
      total += cells.counts[j] as number;
    }
    for (let j = from; j < to; j++) isHidden[hidden.genes[j] as number] = 0;
    visibleOffsets[i + 1] = kept;
    visibleTotal[i] = total;
    visibleShare[i] = share;
  }
  return {
    cells: Int32Array.from(panels, (_, i) => first + i),
    panels,
    panelGenes: cells.panelGenes,
    hidden: sliceGenes(hidden, first, end),
    queries: sliceGenes(queries, first, end),
    visibleOffsets,
    visibleGenes: visibleGenes.subarray(0, kept),
    visibleCounts: visibleCounts.subarray(0, kept),
    visibleTotal,
    visibleShare,
    ...(cells.labels === undefined ? {} : { labels: cells.labels.slice(first, end) }),
  };
}

/** The count of each gene that is asked about, zeros too, [queries]. */
export function answersOf(cells: CountCells, masked: MaskedCells): Int32Array {
  const { offsets, genes } = masked.queries;
  const answers = new Int32Array(genes.length);
  masked.cells.forEach((cell, i) => {
    let next = cells.offsets[cell] as number;
    const end = cells.offsets[cell + 1] as number;
    for (let query = offsets[i] as number; query < (offsets[i + 1] as number); query++) {
      const gene = genes[query] as number;
      while (next < end && (cells.genes[next] as number) < gene) next++;
      if (next < end && cells.genes[next] === gene) answers[query] = cells.counts[next] as number;
    }
  });
  return answers;
}

function sampleOf(genes: Int32Array, size: number, stream: RandomStream): Int32Array {
  const left = genes.slice();
  for (let i = 0; i < size; i++) {
    const j = i + stream.below(left.length - i);
    const held = left[i] as number;
    left[i] = left[j] as number;
    left[j] = held;
  }
  return left.subarray(0, size).sort();
}

function joined(parts: readonly Int32Array[]): HiddenGenes {
  const offsets = new Int32Array(parts.length + 1);
  parts.forEach((part, i) => {
    offsets[i + 1] = (offsets[i] as number) + part.length;
  });
  const genes = new Int32Array(offsets[parts.length] as number);
  parts.forEach((part, i) => {
    genes.set(part, offsets[i]);
  });
  return { offsets, genes };
}

function notMeasured(cell: number): DdscError {
  return new DdscError(
    "ARGUMENT_RANGE",
    `cell ${cell}: a hidden gene was not measured in it or is listed twice; choose hidden genes of the cell's panel`,
    { argument: "masks" },
  );
}
