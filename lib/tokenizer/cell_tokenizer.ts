import { checkOptions } from "../base/arguments.js";
import { checkChoice, checkNumber, checkSeed, DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import type { CellBlock } from "../data/sources/cells.js";
import { type CellPlaces, gatherCells } from "../data/sources/gather.js";
import type { CellSource } from "../data/sources/source.js";
import { chooseWithoutReplacement } from "./choose.js";
import { badCount, badWholeCount, type CountPlace, duplicateGene } from "./count_errors.js";
import { CountTokens } from "./count_tokens.js";
import { mapPanels } from "./gene_panels.js";
import { tokenizeNatively, tokenizePickedNatively } from "./native_tokens.js";
import { QuantileRanks } from "./quantile_ranks.js";
import { CLS_GENE, FIRST_RANK_TOKEN, SPECIAL_TOKEN } from "./ragged_batch.js";
import { addExample, emptyReport, type TokenizerReport } from "./report.js";
import { strategyFrom } from "./strategies.js";
import type { TokenStrategy } from "./strategy.js";
import type { GeneMapping, TokenizedCells } from "./tokenized_cells.js";
import { GeneVocabulary, type VocabularyJson } from "./vocabulary.js";

/** Options of `CellTokenizer`. */
export interface CellTokenizerOptions {
  /** The genes the model knows. */
  readonly vocabulary: GeneVocabulary;
  /** How counts become values; default the published quantile ranks with 51 bins. */
  readonly strategy?: TokenStrategy;
  /** Tokens a cell at most, cls included; default 1024. Count tokens are not cut: evidence is limited where queries are chosen. */
  readonly maxLength?: number;
  /** Whether a cell starts with the cls token (gene id 1, token 0); default true. */
  readonly cls?: boolean;
  /**
   * Which genes stay where a cell has more than fit: "sample" (default) draws them without replacement, anew
   * each epoch; "truncate" keeps those of the lowest ids.
   */
  readonly selection?: "sample" | "truncate";
  /**
   * Whether genes that the source measures but the cell does not express fill the rest up to `maxLength`; default false. Not
   * with count tokens, which need none: every measured gene can be asked about.
   */
  readonly includeUnexpressed?: boolean;
  /** Cells with fewer expressed genes of the vocabulary are skipped and counted; default 1. */
  readonly minGenes?: number;
  /** Seed of the samples, a whole number below 2^53; default 0. */
  readonly seed?: number;
}

/** The saved form of a tokenizer; structured-clonable. */
export interface CellTokenizerJson {
  readonly vocabulary: VocabularyJson;
  readonly strategy: ReturnType<TokenStrategy["toJSON"]>;
  readonly maxLength: number;
  readonly cls: boolean;
  readonly selection: "sample" | "truncate";
  readonly includeUnexpressed: boolean;
  readonly minGenes: number;
  readonly seed: number;
}

/**
 * Cells to tokens. A cell becomes its cls token, then one token (gene id, value + 2) a gene, by ascending gene id
 * whatever the order of the file's columns, so that a cell reads the same from any file.
 *
 * Genes that are not in the vocabulary are dropped first: values are taken over all expressed genes of the cell
 * that are in it, before any are sampled away. So a value does not depend on what else a file measures, nor on
 * `maxLength`. The sample of a cell is a function of (seed, epoch, row) alone.
 *
 * Count tokens (`CountTokens`) are never cut, and the batch has the exact counts and the number of each cell's panel, which
 * says what else is measured (`RaggedBatch.counts`, `panels`).
 *
 * Skipped and counted: cells without an expressed gene (of the vocabulary), or with fewer than `minGenes`.
 * Errors: a negative, NaN or infinite count (`DATA_NEGATIVE_COUNT`, `DATA_NOT_FINITE`), a gene twice in one cell
 * (`DATA_DUPLICATE_GENE`); for count tokens a count that is no whole number, unless those are rounded
 * (`DATA_FRACTIONAL_COUNT`), or too large (`DATA_TOO_LARGE`). A stored zero is an unexpressed gene.
 *
 * An instance keeps scratch memory between calls: use one per thread.
 */
export class CellTokenizer {
  readonly vocabulary: GeneVocabulary;
  readonly strategy: TokenStrategy;
  readonly maxLength: number;
  readonly cls: boolean;
  readonly selection: "sample" | "truncate";
  readonly includeUnexpressed: boolean;
  readonly minGenes: number;
  readonly seed: number;
  /** Genes a cell at most. */
  readonly #room: number;
  /** The strategy, where counts are the values. */
  readonly #countTokens: CountTokens | undefined;
  /** By gene id: count of the cell at hand; 0 between cells. */
  readonly #countOf: Float32Array;

  /** Throws `ARGUMENT_RANGE` or `ARGUMENT_CHOICE`. */
  constructor(options: CellTokenizerOptions) {
    this.vocabulary = options.vocabulary;
    this.strategy = options.strategy ?? new QuantileRanks();
    checkOptions(options, { cls: "switch", includeUnexpressed: "switch" });
    this.cls = options.cls ?? true;
    const clsTokens = this.cls ? 1 : 0;
    const range = { min: 1, max: 2 ** 24, integer: true };
    this.maxLength = checkNumber("maxLength", options.maxLength ?? 1024, { ...range, min: 1 + clsTokens });
    this.selection = checkChoice("selection", options.selection ?? "sample", ["sample", "truncate"]);
    this.includeUnexpressed = options.includeUnexpressed ?? false;
    this.minGenes = checkNumber("minGenes", options.minGenes ?? 1, range);
    this.seed = checkSeed(options.seed ?? 0);
    this.#countTokens = this.strategy instanceof CountTokens ? this.strategy : undefined;
    if (this.#countTokens !== undefined && this.includeUnexpressed) {
      throw new DdscError(
        "ARGUMENT_CHOICE",
        "includeUnexpressed is for ranks: with count tokens every measured gene can be asked about; leave it out",
        { argument: "includeUnexpressed" },
      );
    }
    this.#room = this.#countTokens === undefined ? this.maxLength - clsTokens : Number.POSITIVE_INFINITY;
    this.#countOf = new Float32Array(this.vocabulary.size);
  }

  /** The tokenizer that `toJSON` described. */
  static fromJSON(json: CellTokenizerJson): CellTokenizer {
    return new CellTokenizer({
      ...json,
      vocabulary: GeneVocabulary.fromJSON(json.vocabulary),
      strategy: strategyFrom(json.strategy),
    });
  }

  /** Plain JSON from which `fromJSON` makes the same tokenizer again. */
  toJSON(): CellTokenizerJson {
    return {
      vocabulary: this.vocabulary.toJSON(),
      strategy: this.strategy.toJSON(),
      maxLength: this.maxLength,
      cls: this.cls,
      selection: this.selection,
      includeUnexpressed: this.includeUnexpressed,
      minGenes: this.minGenes,
      seed: this.seed,
    };
  }

  /**
   * Finds a source's columns in the vocabulary; once a source, for `tokenize`. Throws `DATA_NO_KNOWN_GENES` where
   * none is found.
   */
  map(source: Pick<CellSource, "name" | "genes" | "panels">): GeneMapping {
    const { name, genes } = source;
    const match = this.vocabulary.match(genes);
    if (match.matched === 0) {
      const own = genes.slice(0, 3).map(({ id }) => id);
      const known = this.vocabulary.entries.slice(3, 6).map(({ token }) => token);
      throw new DdscError(
        "DATA_NO_KNOWN_GENES",
        `${name}: none of its ${genes.length} genes (${own.join(", ")}, ...) is in the vocabulary (${known.join(", ")}, ...); ` +
          "choose the column of gene identifiers the vocabulary uses, or a model of the same organism",
        { file: name },
      );
    }
    const measured = match.ids.filter((id) => id >= 0).sort();
    return { sourceName: name, genes, match, measured, ...mapPanels(source, match, measured) };
  }

  /**
   * Tokens of the cells of a block.
   * @param epoch names the sample of genes; the same epoch gives the same sample again.
   */
  tokenize(block: CellBlock, mapping: GeneMapping, epoch: number): TokenizedCells {
    return tokenizeNatively(this, block, mapping, epoch) ?? this.tokenizeHere(block, mapping, epoch);
  }

  /**
   * As `tokenize`, of the cells picked from several blocks, off the event loop where native code can do it: several calls
   * may run at the same time. Until one has ended nobody may change the blocks or free their memory.
   */
  async tokenizePicked(
    blocks: readonly CellBlock[],
    picked: CellPlaces,
    mapping: GeneMapping,
    epoch: number,
  ): Promise<TokenizedCells> {
    const native = await tokenizePickedNatively(this, blocks, picked, mapping, epoch);
    return native ?? this.tokenizeHere(gatherCells(blocks, picked), mapping, epoch);
  }

  /** As `tokenize`, in JavaScript: the definition that native code follows, and what finds the cell that it refuses. */
  tokenizeHere(block: CellBlock, mapping: GeneMapping, epoch: number): TokenizedCells {
    const report = emptyReport();
    const cellCount = block.rows.length;
    const capacity = this.#capacity(block, mapping);
    const offsets = new Int32Array(cellCount + 1);
    const genes = new Int32Array(capacity);
    const tokens = new Int32Array(capacity);
    const counts = this.#countTokens && new Int32Array(capacity);
    const cells = new Float64Array(cellCount);
    let length = 0;
    for (let cell = 0; cell < cellCount; cell++) {
      const row = block.rows[cell] as number;
      const expressed = this.#expressed(block, cell, mapping, report);
      if (expressed.length < this.minGenes) {
        this.#skip(block, cell, expressed.length, report);
        this.#forget(expressed);
        continue;
      }
      if (this.cls) {
        genes[length] = CLS_GENE;
        tokens[length++] = SPECIAL_TOKEN;
      }
      const kept = this.#place(
        expressed,
        mapping,
        new RandomStream(this.seed, Purpose.geneSample, epoch, row),
        {
          genes: genes.subarray(length),
          tokens: tokens.subarray(length),
          counts: counts?.subarray(length),
        },
      );
      this.#forget(expressed);
      if (kept < expressed.length) {
        report.shortenedCells++;
        report.leftOutGenes += expressed.length - kept;
      }
      length += kept;
      cells[report.cells++] = row;
      offsets[report.cells] = length;
    }
    report.tokens = length;
    const batch = {
      offsets: offsets.slice(0, report.cells + 1),
      genes: genes.slice(0, length),
      tokens: tokens.slice(0, length),
      cells: cells.slice(0, report.cells),
    };
    if (counts === undefined) return { batch, report };
    const panels = Int32Array.from(batch.cells, (row) => mapping.panelOf(row));
    return { batch: { ...batch, counts: counts.slice(0, length), panels }, report };
  }

  /**
   * Tokens each cell of a block would have, [cells], 0 where it would be skipped, and a report of those alone. Checks
   * counts as `tokenize` does.
   */
  measure(block: CellBlock, mapping: GeneMapping): { lengths: Int32Array; skipped: TokenizerReport } {
    const skipped = emptyReport();
    const ignored = emptyReport();
    const filled = this.includeUnexpressed ? mapping.measured.length : 0;
    const lengths = Int32Array.from(block.rows, (_, cell) => {
      const expressed = this.#expressed(block, cell, mapping, ignored);
      this.#forget(expressed);
      if (expressed.length < this.minGenes) {
        this.#skip(block, cell, expressed.length, skipped);
        return 0;
      }
      return Math.min(Math.max(expressed.length, filled), this.#room) + (this.cls ? 1 : 0);
    });
    return { lengths, skipped };
  }

  /** Tokens that cells with so many stored counts have at most, without looking at them, [cells]: 1 at least. */
  mostTokens(stored: Int32Array, mapping: Pick<GeneMapping, "measured">): Int32Array {
    const filled = this.includeUnexpressed ? mapping.measured.length : 0;
    return stored.map((counts) => Math.min(Math.max(counts, filled), this.#room) + 1);
  }

  /** Tokens a block can come to at most. */
  #capacity(block: CellBlock, mapping: GeneMapping): number {
    let capacity = 0;
    for (let cell = 0; cell < block.rows.length; cell++) {
      const stored = (block.offsets[cell + 1] as number) - (block.offsets[cell] as number);
      const wanted = this.includeUnexpressed ? mapping.measured.length : stored;
      capacity += Math.min(wanted, this.#room) + 1;
    }
    return capacity;
  }

  /** Ids of the cell's expressed genes of the vocabulary, ascending; leaves their counts in `#countOf`. */
  #expressed(block: CellBlock, cell: number, mapping: GeneMapping, report: TokenizerReport): Int32Array {
    const start = block.offsets[cell] as number;
    const end = block.offsets[cell + 1] as number;
    const found = new Int32Array(end - start);
    const { ids } = mapping.match;
    let length = 0;
    let ascending = true;
    for (let i = start; i < end; i++) {
      const column = block.columns[i] as number;
      const stored = block.counts[i] as number;
      const count = this.#taken(stored);
      if (!(count > 0 && count < Number.POSITIVE_INFINITY)) {
        if (count === 0) continue;
        this.#forget(found.subarray(0, length));
        const bad = this.#countTokens === undefined ? badCount : badWholeCount;
        throw bad(placeOf(block, cell, column, mapping), stored);
      }
      const id = ids[column];
      if (id === undefined || id < 0) {
        report.unknownCounts++;
        addExample(report.unknownGenes, nameOf(column, mapping));
        continue;
      }
      if (this.#countOf[id] !== 0) {
        this.#forget(found.subarray(0, length));
        throw duplicateGene(placeOf(block, cell, column, mapping));
      }
      this.#countOf[id] = count;
      if (length > 0 && id < (found[length - 1] as number)) ascending = false;
      found[length++] = id;
    }
    const expressed = found.subarray(0, length);
    return ascending ? expressed : expressed.sort();
  }

  /** The count that a stored one is taken for; none of those above 0 where it is refused. */
  #taken(stored: number): number {
    return this.#countTokens === undefined ? stored : this.#countTokens.wholeCount(stored);
  }

  #forget(expressed: Int32Array): void {
    for (const id of expressed) this.#countOf[id] = 0;
  }

  #skip(block: CellBlock, cell: number, known: number, report: TokenizerReport): void {
    addExample(report.skippedRows, block.rows[cell] as number);
    const stored = block.counts.subarray(block.offsets[cell], block.offsets[cell + 1]);
    if (known > 0) report.smallCells++;
    else if (stored.some((count) => this.#taken(count) > 0)) report.unknownOnlyCells++;
    else report.emptyCells++;
  }

  /** Writes one cell's genes, tokens and, where they are wanted, counts; returns how many. */
  #place(
    expressed: Int32Array,
    mapping: GeneMapping,
    random: RandomStream,
    out: { genes: Int32Array; tokens: Int32Array; counts: Int32Array | undefined },
  ): number {
    const ids = this.includeUnexpressed ? this.#fill(expressed, mapping, random) : expressed;
    const counts = Float32Array.from(ids, (id) => this.#countOf[id] as number);
    const values = new Int32Array(ids.length);
    this.strategy.encode(counts, values);
    const kept = ids.length > this.#room ? this.#select(ids.length, this.#room, random) : undefined;
    const length = kept === undefined ? ids.length : kept.length;
    for (let i = 0; i < length; i++) {
      const place = kept === undefined ? i : (kept[i] as number);
      out.genes[i] = ids[place] as number;
      out.tokens[i] = (values[place] as number) + FIRST_RANK_TOKEN;
    }
    out.counts?.set(counts);
    return length;
  }

  /** The expressed genes and as many unexpressed ones as there is room for, ascending. */
  #fill(expressed: Int32Array, mapping: GeneMapping, random: RandomStream): Int32Array {
    const missing = Math.min(this.#room, mapping.measured.length) - expressed.length;
    if (missing <= 0) return expressed;
    const unexpressed = mapping.measured.filter((id) => this.#countOf[id] === 0);
    const filled = new Int32Array(expressed.length + missing);
    filled.set(expressed);
    this.#select(unexpressed.length, missing, random).forEach((place, i) => {
      filled[expressed.length + i] = unexpressed[place] as number;
    });
    return filled.sort();
  }

  /** `count` of the places 0..total-1, ascending. */
  #select(total: number, count: number, random: RandomStream): Int32Array {
    return this.selection === "sample"
      ? chooseWithoutReplacement(total, count, random)
      : Int32Array.from({ length: count }, (_, place) => place);
  }
}

function nameOf(column: number, mapping: GeneMapping): string {
  return mapping.genes[column]?.id ?? `column ${column}`;
}

function placeOf(block: CellBlock, cell: number, column: number, mapping: GeneMapping): CountPlace {
  return { file: mapping.sourceName, row: block.rows[cell] as number, gene: nameOf(column, mapping) };
}
