import type { StreamedRows } from "../../data/anndata/write.js";
import type { CellBlock } from "../../data/sources/cells.js";
import type { FilledEntries } from "../../sampling/index.js";
import type { GeneMapping, TokenStrategy } from "../../tokenizer/index.js";
import { FIRST_RANK_TOKEN } from "../../tokenizer/ragged_batch.js";
import type { CellsToFill } from "./cells_to_fill.js";

/** Stands in the `rank` layer where no rank is known. */
const NO_RANK = -1;

/** The matrices of a file of filled-in ranks: X as it was, all else dense. */
export const RANK_MATRICES = {
  X: { kind: "csr", type: "float32" },
  "layers/imputed": { kind: "dense", type: "float32" },
  "layers/rank": { kind: "dense", type: "int32" },
  "layers/expected_rank": { kind: "dense", type: "float32" },
  "layers/rank_probability": { kind: "dense", type: "float32" },
} as const;

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

/** Puts counts and filled-in ranks of some cells into the rows of `RANK_MATRICES`. */
export class RankRows {
  readonly tally: ImputationTally = { entries: 0, skippedCells: 0, known: 0, correct: 0, rankError: 0 };
  readonly #mapping: GeneMapping;
  readonly #strategy: TokenStrategy;
  readonly #ranks: Int32Array;
  readonly #width: number;
  /** Column of each vocabulary id that the source measures. */
  readonly #columnOf: ReadonlyMap<number, number>;

  constructor(mapping: GeneMapping, strategy: TokenStrategy) {
    this.#mapping = mapping;
    this.#strategy = strategy;
    this.#ranks = Int32Array.from({ length: strategy.values }, (_, rank) => rank);
    this.#width = mapping.genes.length;
    this.#columnOf = new Map(Array.from(mapping.match.ids, (id, column) => [id, column]));
  }

  /** What each rank stands for among the counts of known genes that the cell at `place` of a block has; it has one at least. */
  countsOfRanks(block: CellBlock, place: number): Float32Array {
    const { ids } = this.#mapping.match;
    const [start, end] = [block.offsets[place] as number, block.offsets[place + 1] as number];
    const reference = block.counts
      .subarray(start, end)
      .filter((_, i) => (ids[block.columns[start + i] as number] as number) >= 0);
    return this.#strategy.decode(this.#ranks, reference);
  }

  /** The rows of a block's cells; adds to `tally`. `filled` has expected counts. */
  fill(block: CellBlock, { evidence, places }: CellsToFill, filled: FilledEntries): StreamedRows {
    const size = block.rows.length * this.#width;
    const imputed = new Float32Array(size);
    const rank = new Int32Array(size).fill(NO_RANK);
    const expectedRank = new Float32Array(size).fill(Number.NaN);
    const probability = new Float32Array(size).fill(Number.NaN);
    for (const [place, cell] of evidence.entries()) {
      this.#copyCounts(block, place, imputed);
      if (cell === undefined) this.tally.skippedCells++;
      for (const [i, token] of cell?.tokens.entries() ?? []) {
        if (token < FIRST_RANK_TOKEN) continue;
        rank[this.#entry(place, cell?.genes[i])] = token - FIRST_RANK_TOKEN;
      }
    }
    for (const [i, gene] of filled.gene.entries()) {
      const entry = this.#entry(places[filled.cell[i] as number] as number, gene);
      this.#compare(rank[entry] as number, filled, i);
      imputed[entry] = filled.expectedCount?.[i] ?? Number.NaN;
      rank[entry] = filled.rank[i] as number;
      expectedRank[entry] = filled.expectedRank[i] as number;
      probability[entry] = filled.probability[i] as number;
    }
    return {
      X: { offsets: block.offsets, columns: block.columns, values: block.counts },
      "layers/imputed": imputed,
      "layers/rank": rank,
      "layers/expected_rank": expectedRank,
      "layers/rank_probability": probability,
    };
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
}
