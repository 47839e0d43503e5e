import type { CellBlock } from "../data/sources/cells.js";
import type { FilledEntries } from "../sampling/index.js";
import type { GeneMapping, TokenStrategy } from "../tokenizer/index.js";
import { FIRST_RANK_TOKEN } from "../tokenizer/ragged_batch.js";
import type { CellsToFill } from "./imputation.js";

/** Stands in the `rank` layer where no rank is known. */
const NO_RANK = -1;

/** What was filled in. */
export interface ImputationTally {
  /** Entries that were filled in. */
  entries: number;
  /** Cells without evidence, left as they are. */
  skippedCells: number;
  /** Of the entries, those whose rank had been known. */
  known: number;
  /** Of those, the ones whose filled-in rank is right. */
  correct: number;
  /** Sum over them of |expected rank - rank|. */
  rankError: number;
}

/** Rows of the matrices of an imputed file, all [cells, genes of the source], row-major. */
export interface ImputedMatrices {
  readonly X: Float32Array;
  readonly rank: Int32Array;
  readonly expected_rank: Float32Array;
  readonly probability: Float32Array;
}

/** Puts counts and filled-in entries of some cells into dense rows. */
export class ImputedRows {
  readonly tally: ImputationTally = { entries: 0, skippedCells: 0, known: 0, correct: 0, rankError: 0 };
  readonly #mapping: GeneMapping;
  readonly #strategy: TokenStrategy;
  readonly #width: number;
  /** Column of each vocabulary id that the source measures. */
  readonly #columnOf: ReadonlyMap<number, number>;

  constructor(mapping: GeneMapping, strategy: TokenStrategy) {
    this.#mapping = mapping;
    this.#strategy = strategy;
    this.#width = mapping.genes.length;
    this.#columnOf = new Map(Array.from(mapping.match.ids, (id, column) => [id, column]));
  }

  /** The rows of a block's cells; adds to `tally`. */
  fill(block: CellBlock, { evidence, places }: CellsToFill, filled: FilledEntries): ImputedMatrices {
    const size = block.rows.length * this.#width;
    const matrices: ImputedMatrices = {
      X: new Float32Array(size),
      rank: new Int32Array(size).fill(NO_RANK),
      expected_rank: new Float32Array(size).fill(Number.NaN),
      probability: new Float32Array(size).fill(Number.NaN),
    };
    for (const [place, cell] of evidence.entries()) {
      this.#copyCounts(block, place, matrices.X);
      if (cell === undefined) this.tally.skippedCells++;
      for (const [i, token] of cell?.tokens.entries() ?? []) {
        if (token < FIRST_RANK_TOKEN) continue;
        matrices.rank[this.#entry(place, cell?.genes[i])] = token - FIRST_RANK_TOKEN;
      }
    }
    const entriesOf = Array.from(block.rows, (): number[] => []);
    for (const [i, gene] of filled.gene.entries()) {
      const place = places[filled.cell[i] as number] as number;
      const entry = this.#entry(place, gene);
      this.#compare(matrices.rank[entry] as number, filled, i);
      matrices.rank[entry] = filled.rank[i] as number;
      matrices.expected_rank[entry] = filled.expectedRank[i] as number;
      matrices.probability[entry] = filled.probability[i] as number;
      entriesOf[place]?.push(entry);
    }
    for (const [place, entries] of entriesOf.entries()) this.#decode(block, place, entries, matrices);
    return matrices;
  }

  #entry(place: number, gene: number | undefined): number {
    return place * this.#width + (this.#columnOf.get(gene as number) as number);
  }

  #copyCounts(block: CellBlock, place: number, into: Float32Array): void {
    for (let i = block.offsets[place] as number; i < (block.offsets[place + 1] as number); i++) {
      into[place * this.#width + (block.columns[i] as number)] = block.counts[i] as number;
    }
  }

  #compare(known: number, filled: FilledEntries, i: number): void {
    this.tally.entries++;
    if (known === NO_RANK) return;
    this.tally.known++;
    if (known === filled.rank[i]) this.tally.correct++;
    this.tally.rankError += Math.abs(known - (filled.expectedRank[i] as number));
  }

  /** Counts of a cell's filled-in ranks, by what ranks stand for among its counts of known genes. */
  #decode(block: CellBlock, place: number, entries: readonly number[], { X, rank }: ImputedMatrices): void {
    if (entries.length === 0) return;
    const { ids } = this.#mapping.match;
    const [start, end] = [block.offsets[place] as number, block.offsets[place + 1] as number];
    const reference = block.counts
      .subarray(start, end)
      .filter((_, i) => (ids[block.columns[start + i] as number] as number) >= 0);
    const ranks = Int32Array.from(entries, (entry) => rank[entry] as number);
    const counts = this.#strategy.decode(ranks, reference);
    for (const [i, entry] of entries.entries()) X[entry] = counts[i] as number;
  }
}
