import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import { END_GENE, type RaggedBatch } from "../tokenizer/ragged_batch.js";

/** A cell of a sample. */
export interface SampledCell {
  /** Number of its panel. */
  readonly panel: number;
  /** Ids of the genes that have a count, ascending; no special ones. */
  readonly genes: Int32Array;
  /** The count of each of them. */
  readonly counts: Int32Array;
}

interface KeyedCell extends SampledCell {
  readonly key: number;
  readonly cell: number;
}

/** Step of the streams of keys; training draws with steps from 1 on. */
const KEY_STEP = 2 ** 44 - 1;

/**
 * A random sample of the cells that pass by, without knowing how many will: those of the smallest random keys. A cell's key
 * follows from its index and the seed, so the sample does not depend on order or batches. Memory is that of twice the sample.
 */
export class CellSample {
  readonly #most: number;
  readonly #seed: number;
  #kept: KeyedCell[] = [];
  /** Cells of greater keys are not among the sample any more. */
  #limit = Number.POSITIVE_INFINITY;

  constructor(most: number, seed: number) {
    this.#most = most;
    this.#seed = seed;
  }

  /**
   * Takes in the cells of a batch, the event loop running in between. Throws `BATCH_INVALID` for one without counts and panels, the
   * signal's reason once it is aborted.
   */
  async add(batch: RaggedBatch, signal?: AbortSignal): Promise<void> {
    checkKind("batches", batch, "batch");
    const { offsets, genes, counts, panels, cells } = batch;
    if (counts === undefined || panels === undefined) {
      throw new DdscError(
        "BATCH_INVALID",
        "the batch has no counts and panels; make it with a tokenizer whose strategy is CountTokens",
        { argument: "batches" },
      );
    }
    for (const [i, cell] of cells.entries()) {
      if (isTurnOver()) await takeTurn(signal);
      const key = new RandomStream(this.#seed, Purpose.split, KEY_STEP, cell).uniformAt(0);
      if (key > this.#limit) continue;
      const end = offsets[i + 1] as number;
      let first = offsets[i] as number;
      while (first < end && (genes[first] as number) <= END_GENE) first++;
      this.#kept.push({
        ...{ key, cell, panel: panels[i] as number },
        genes: genes.slice(first, end),
        counts: counts.slice(first, end),
      });
      if (this.#kept.length >= 2 * this.#most) this.#prune();
    }
  }

  /** The sample of the cells so far, in the order of their keys. */
  cells(): readonly SampledCell[] {
    this.#prune();
    return this.#kept;
  }

  #prune(): void {
    this.#kept.sort((a, b) => a.key - b.key || a.cell - b.cell);
    if (this.#kept.length <= this.#most) return;
    this.#kept = this.#kept.slice(0, this.#most);
    this.#limit = this.#kept.at(-1)?.key ?? this.#limit;
  }
}
