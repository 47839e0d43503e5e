import type { Gene, MeasuredPanels, MetadataColumn, SourceContents } from "../sources/cells.js";

/** What the files of a data set have in common, most often. */
export interface SourceTraits {
  readonly genes: readonly Gene[];
  readonly panels?: MeasuredPanels | undefined;
  readonly metadataColumns: readonly MetadataColumn[];
  readonly contents?: SourceContents | undefined;
}

/** What has to be known of several sources to read them as one: plain data, some numbers a source, good while none of them is open. */
export interface Outlines {
  /** Those that there are, in the order in which they come first. */
  readonly traits: readonly SourceTraits[];
  /** Number of each source's traits, [sources]. */
  readonly traitsOf: Uint32Array;
  /** First row of each source, [sources + 1]. */
  readonly firstRow: Float64Array;
  /** Bounds of the parts of all, [parts + 1]: see `CellSource.partBounds`. */
  readonly partBounds: Float64Array;
}

/** Collects outlines, source after source. */
export class OutlineCollector {
  readonly #isKept: boolean;
  readonly #traits: SourceTraits[] = [];
  readonly #numbers = new Map<unknown, number>();
  readonly #traitsOf: number[] = [];
  readonly #firstRow = [0];
  readonly #partBounds = [0];

  /** @param isKept whether rows and parts are; else the outlines have the traits alone */
  constructor(isKept = true) {
    this.#isKept = isKept;
  }

  /** Whether traits of this key are known. */
  knows(key: unknown): boolean {
    return this.#numbers.has(key);
  }

  /** Traits of sources to come. */
  addTraits(key: unknown, { genes, panels, metadataColumns, contents }: SourceTraits): void {
    this.#numbers.set(key, this.#traits.push({ genes, panels, metadataColumns, contents }) - 1);
  }

  /**
   * The next source.
   * @param key of its traits, which have been added
   * @param ends of its parts, in rows of its own
   */
  add(key: unknown, ends: Iterable<number>): void {
    if (!this.#isKept) return;
    const first = this.#firstRow.at(-1) ?? 0;
    let rows = 0;
    for (const end of ends) {
      rows = end;
      this.#partBounds.push(first + end);
    }
    this.#firstRow.push(first + rows);
    this.#traitsOf.push(this.#numbers.get(key) ?? 0);
  }

  outlines(): Outlines {
    return {
      traits: this.#traits,
      traitsOf: Uint32Array.from(this.#traitsOf),
      firstRow: Float64Array.from(this.#firstRow),
      partBounds: Float64Array.from(this.#partBounds),
    };
  }
}
