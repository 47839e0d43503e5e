import type { CountBase, CountCells } from "../count_cells.js";
import { estimatedDepth, type MaskedCells } from "../masked_cells.js";
import { HiddenFlags, type MeanMethod, panelMembers, RateSums, wholeDepths } from "./mean_method.js";

/** Numbers of neighbours to choose from. */
const NEIGHBOURS = [10, 20, 50, 100, 200, 400] as const;

/**
 * kNN smoothing: the training cells most alike by the genes that are visible (cosine of log1p of counts per mean depth), their
 * molecules added up, scaled to the cell's depth. Each masked cell has neighbours of its own, since hidden genes take no part.
 */
export class NeighbourMeans implements MeanMethod {
  readonly name = "kNN smoothing";
  readonly settings: readonly string[];
  readonly #numbers: readonly number[];
  readonly #training: CountCells;
  readonly #base: CountBase;
  readonly #depths: Float64Array;
  /** log1p(count / depth * mean depth), beside `training.counts`. */
  readonly #values: Float32Array;
  readonly #members: readonly Uint8Array[];

  constructor(training: CountCells, base: CountBase) {
    const cells = training.panels.length;
    this.#numbers = NEIGHBOURS.filter((number, i) => i === 0 || number <= cells / 2);
    this.settings = this.#numbers.map((number) => `${Math.min(number, cells)} neighbours`);
    this.#training = training;
    this.#base = base;
    this.#depths = wholeDepths(training, base);
    this.#members = panelMembers(training.panelGenes, base.share.length);
    this.#values = new Float32Array(training.counts.length);
    for (let cell = 0; cell < cells; cell++) {
      const scale = base.meanDepth / Math.max(this.#depths[cell] as number, 1);
      for (let i = training.offsets[cell] as number; i < (training.offsets[cell + 1] as number); i++) {
        this.#values[i] = Math.log1p((training.counts[i] as number) * scale);
      }
    }
  }

  means(masked: MaskedCells, settings: readonly number[]): Float64Array[] {
    const geneIds = this.#base.share.length;
    const all = settings.map(() => new Float64Array(masked.queries.genes.length));
    const wanted = settings.map((setting) => this.#numbers[setting] as number);
    const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] as number) - (wanted[b] as number));
    const cells = this.#training.panels.length;
    const nearest = new NearestCells(Math.min(cells, Math.max(...wanted)));
    const hidden = new HiddenFlags(geneIds);
    const pairs = new Float64Array(2 * geneIds);
    const sums = new RateSums(geneIds, this.#members);
    for (let cell = 0; cell < masked.cells.length; cell++) {
      const flags = hidden.of(masked, cell);
      this.#search(masked, cell, flags, pairs, nearest);
      const found = nearest.sorted();
      sums.clear();
      let added = 0;
      for (const place of order) {
        const end = Math.min(found.length, wanted[place] as number);
        for (; added < end; added++) {
          const neighbour = found[added] as number;
          sums.add(this.#training, neighbour, this.#depths[neighbour] as number);
        }
        this.#scale(masked, cell, sums, flags, all[place] as Float64Array);
      }
    }
    return all;
  }

  /** Finds the training cells with the greatest cosine over the visible genes; ties go to the earlier cell. */
  #search(
    masked: MaskedCells,
    cell: number,
    hidden: Uint8Array,
    pairs: Float64Array,
    nearest: NearestCells,
  ): void {
    const { offsets, genes } = this.#training;
    const values = this.#values;
    const from = masked.visibleOffsets[cell] as number;
    const to = masked.visibleOffsets[cell + 1] as number;
    const scale = this.#base.meanDepth / estimatedDepth(masked, cell, this.#base);
    // By gene id, side by side: the cell's value, and 1 where the gene is visible. Without a branch: half of them would be wrong.
    pairs.fill(0);
    for (const gene of masked.panelGenes[masked.panels[cell] as number] as Int32Array) {
      pairs[2 * gene + 1] = 1 - (hidden[gene] as number);
    }
    for (let i = from; i < to; i++) {
      pairs[2 * (masked.visibleGenes[i] as number)] = Math.log1p((masked.visibleCounts[i] as number) * scale);
    }
    nearest.clear();
    let i = 0;
    for (let other = 0; other < this.#depths.length; other++) {
      let dot = 0;
      let squares = 0;
      for (const end = offsets[other + 1] as number; i < end; i++) {
        const at = 2 * (genes[i] as number);
        const value = values[i] as number;
        dot += value * (pairs[at] as number);
        squares += value * value * (pairs[at + 1] as number);
      }
      nearest.offer(other, squares > 0 ? dot / Math.sqrt(squares) : 0);
    }
  }

  /** The neighbours' shares at the depth that the visible genes tell, given these shares. */
  #scale(masked: MaskedCells, cell: number, sums: RateSums, hidden: Uint8Array, means: Float64Array): void {
    const { share, spread, meanDepth } = this.#base;
    let visible = 0;
    for (const gene of masked.panelGenes[masked.panels[cell] as number] as Int32Array) {
      if (hidden[gene] === 0) visible += sums.rate(gene, share[gene] as number);
    }
    const depth = ((masked.visibleTotal[cell] as number) + spread) / (visible + spread / meanDepth);
    const { offsets, genes } = masked.queries;
    for (let query = offsets[cell] as number; query < (offsets[cell + 1] as number); query++) {
      const gene = genes[query] as number;
      means[query] = depth * sums.rate(gene, share[gene] as number);
    }
  }
}

/** The most similar cells of all that are offered: a heap whose root is the least similar of those kept. */
class NearestCells {
  readonly #cells: Int32Array;
  readonly #similarities: Float64Array;
  #size = 0;

  constructor(most: number) {
    this.#cells = new Int32Array(most);
    this.#similarities = new Float64Array(most);
  }

  clear(): void {
    this.#size = 0;
  }

  offer(cell: number, similarity: number): void {
    if (this.#size < this.#cells.length) {
      let place = this.#size++;
      while (place > 0) {
        const parent = (place - 1) >> 1;
        if (this.#before(parent, cell, similarity)) break;
        this.#move(parent, place);
        place = parent;
      }
      this.#put(place, cell, similarity);
    } else if (similarity > (this.#similarities[0] as number)) {
      let place = 0;
      for (;;) {
        let child = 2 * place + 1;
        if (child >= this.#size) break;
        if (
          child + 1 < this.#size &&
          this.#before(child + 1, this.#cells[child] as number, this.#similarities[child] as number)
        ) {
          child++;
        }
        if (!this.#before(child, cell, similarity)) break;
        this.#move(child, place);
        place = child;
      }
      this.#put(place, cell, similarity);
    }
  }

  /** The cells kept, most similar first. */
  sorted(): Int32Array {
    const places = Array.from({ length: this.#size }, (_, place) => place);
    places.sort(
      (a, b) =>
        (this.#similarities[b] as number) - (this.#similarities[a] as number) ||
        (this.#cells[a] as number) - (this.#cells[b] as number),
    );
    return Int32Array.from(places, (place) => this.#cells[place] as number);
  }

  /** Whether what stands at a place is less similar than this cell (of equals, the later cell is less similar). */
  #before(place: number, cell: number, similarity: number): boolean {
    const held = this.#similarities[place] as number;
    return held < similarity || (held === similarity && (this.#cells[place] as number) > cell);
  }

  #move(from: number, to: number): void {
    this.#cells[to] = this.#cells[from] as number;
    this.#similarities[to] = this.#similarities[from] as number;
  }

  #put(place: number, cell: number, similarity: number): void {
    this.#cells[place] = cell;
    this.#similarities[place] = similarity;
  }
}
