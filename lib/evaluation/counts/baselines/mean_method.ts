import { type CountBase, type CountCells, panelShares, totalCounts } from "../count_cells.js";
import { estimatedDepth, type MaskedCells } from "../masked_cells.js";

/**
 * A method that predicts expected counts. It has several settings (how many neighbours, which rank), of which one is chosen on
 * training cells; several are computed at once, since they share their work.
 */
export interface MeanMethod {
  /** For tables. */
  readonly name: string;
  /** What each setting is, such as "50 neighbours". */
  readonly settings: readonly string[];
  /**
   * Expected counts of the genes that are asked about, for each of these settings (places in `settings`), [queries] each; may be 0
   * or below, which the mixture with depth times share makes good.
   */
  means(masked: MaskedCells, settings: readonly number[]): Float64Array[];
}

/** Depth times share: the base of a count model, which knows of a cell how many molecules it has. */
export class DepthTimesShare implements MeanMethod {
  readonly name = "negative binomial at depth";
  readonly settings = ["as it is"];
  readonly #base: CountBase;

  constructor(base: CountBase) {
    this.#base = base;
  }

  means(masked: MaskedCells, settings: readonly number[]): Float64Array[] {
    const means = baseMeans(masked, this.#base);
    return settings.map(() => means);
  }
}

/** L share[gene] of the genes that are asked about, [queries]. */
export function baseMeans(masked: MaskedCells, base: CountBase): Float64Array {
  const { offsets, genes } = masked.queries;
  const means = new Float64Array(genes.length);
  for (let cell = 0; cell < masked.cells.length; cell++) {
    const depth = estimatedDepth(masked, cell, base);
    for (let query = offsets[cell] as number; query < (offsets[cell + 1] as number); query++) {
      means[query] = depth * (base.share[genes[query] as number] as number);
    }
  }
  return means;
}

/** Total of each cell over the share of the genes that it was measured for: its depth were all genes measured, [cells]. */
export function wholeDepths(cells: CountCells, base: CountBase): Float64Array {
  const shares = panelShares(cells, base);
  return totalCounts(cells).map((total, cell) => total / (shares[cells.panels[cell] as number] as number));
}

/** Which genes each panel measures: 1 by panel and gene id. */
export function panelMembers(panelGenes: readonly Int32Array[], geneIds: number): Uint8Array[] {
  return panelGenes.map((genes) => {
    const members = new Uint8Array(geneIds);
    for (const gene of genes) members[gene] = 1;
    return members;
  });
}

/**
 * Adds up cells: molecules by gene, and depth by panel. A gene's rate is its molecules over the depth of the cells that were
 * measured for it.
 */
export class RateSums {
  readonly molecules: Float64Array;
  readonly #members: readonly Uint8Array[];
  readonly #depths: Float64Array;
  cells = 0;

  constructor(geneIds: number, members: readonly Uint8Array[]) {
    this.molecules = new Float64Array(geneIds);
    this.#members = members;
    this.#depths = new Float64Array(members.length);
  }

  add(cells: CountCells, cell: number, depth: number): void {
    for (let i = cells.offsets[cell] as number; i < (cells.offsets[cell + 1] as number); i++) {
      const gene = cells.genes[i] as number;
      this.molecules[gene] = (this.molecules[gene] as number) + (cells.counts[i] as number);
    }
    const panel = cells.panels[cell] as number;
    this.#depths[panel] = (this.#depths[panel] as number) + depth;
    this.cells++;
  }

  clear(): void {
    this.molecules.fill(0);
    this.#depths.fill(0);
    this.cells = 0;
  }

  /** Depth of all the cells. */
  get depth(): number {
    return this.#depths.reduce((sum, depth) => sum + depth, 0);
  }

  /** Share of a cell's molecules that is this gene's, or the fallback where no cell was measured for it. */
  rate(gene: number, fallback: number): number {
    let depth = 0;
    for (let panel = 0; panel < this.#depths.length; panel++) {
      if (this.#members[panel]?.[gene] === 1) depth += this.#depths[panel] as number;
    }
    return depth > 0 ? (this.molecules[gene] as number) / depth : fallback;
  }
}

/** Marks hidden genes of one cell after another, for methods that go through what is visible. */
export class HiddenFlags {
  readonly flags: Uint8Array;
  #marked: Int32Array = new Int32Array(0);

  constructor(geneIds: number) {
    this.flags = new Uint8Array(geneIds);
  }

  /** Flags of this cell: 1 for hidden genes; the last cell's are taken back. */
  of(masked: MaskedCells, cell: number): Uint8Array {
    for (const gene of this.#marked) this.flags[gene] = 0;
    const { offsets, genes } = masked.hidden;
    this.#marked = genes.subarray(offsets[cell], offsets[cell + 1]);
    for (const gene of this.#marked) this.flags[gene] = 1;
    return this.flags;
  }
}
