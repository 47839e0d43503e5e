import { Purpose, RandomStream } from "../../base/random.js";
import { concatenateBatches } from "../../batching/index.js";
import type { CellBlock } from "../../data/sources/cells.js";
import type { CellTokenizer, GeneMapping } from "../../tokenizer/index.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../../tokenizer/ragged_batch.js";

/** Which genes of a cell are filled in. */
export type FillRule =
  /** Genes without a count; of `genes` (vocabulary ids, ascending) alone where given. */
  | { readonly kind: "zeros"; readonly genes: Int32Array | undefined }
  /** These genes, whatever their count, which is then no evidence. */
  | { readonly kind: "listed"; readonly genes: Int32Array }
  /** A share of the expressed genes, drawn for each cell: to see how well they are filled in. */
  | { readonly kind: "hidden"; readonly share: number; readonly seed: number };

/** Cells of a block with the genes to fill in masked. */
export interface CellsToFill {
  /**
   * The cells; one with more genes to fill in than are filled in together is there several times, each time with all
   * of its evidence and some of those genes.
   */
  readonly batch: RaggedBatch;
  /** Place in the block of each cell of `batch`. */
  readonly places: Int32Array;
  /** Tokens of the whole cells of the block before anything was masked, by place; undefined for a skipped cell. */
  readonly evidence: readonly (RaggedBatch | undefined)[];
}

/** A cell's genes are filled in so many at a time at least, however few it expresses. */
const LEAST_AT_ONCE = 16;
/** Share of a cell's tokens that evidence may take at most where genes are to be filled in. */
const EVIDENCE_SHARE = 0.75;

/**
 * Masks what is to be filled in in the cells of a block. Cells without an expressed gene have no evidence and are
 * left out. Genes stand in ascending order of their ids, as in training.
 *
 * The model has learnt from cells in which every gene that is named is expressed. So naming many genes at once that are
 * not makes it see a cell unlike any other; a few at a time leave the evidence its weight.
 *
 * @param tokenizer as the model was trained with, but without a limit on length
 * @param atOnce genes filled in together in a cell; by default as many as it has evidence, at least 16
 * @param maxLength tokens a cell at most; evidence beyond three quarters of it is drawn at random
 * @param cellCount cells of the whole source: names the random numbers of cells that are there several times
 */
export function cellsToFill(
  block: CellBlock,
  mapping: GeneMapping,
  options: {
    readonly tokenizer: CellTokenizer;
    readonly rule: FillRule;
    readonly atOnce: number | undefined;
    readonly maxLength: number;
    readonly mask: number;
    readonly cellCount: number;
  },
): CellsToFill {
  const { tokenizer, rule, atOnce, maxLength, mask, cellCount } = options;
  const { batch: whole } = tokenizer.tokenize(block, mapping, 0);
  const placeOf = new Map(Array.from(block.rows, (row, place) => [row, place]));
  const evidence = new Array<RaggedBatch | undefined>(block.rows.length).fill(undefined);
  const parts: RaggedBatch[] = [];
  const places: number[] = [];
  for (const [i, row] of whole.cells.entries()) {
    const place = placeOf.get(row) as number;
    const bounds = [whole.offsets[i], whole.offsets[i + 1]] as const;
    const genes = whole.genes.subarray(...bounds);
    const tokens = whole.tokens.subarray(...bounds);
    evidence[place] = cellOf(genes, tokens, row);
    const wanted = genesToFill(genes, tokens, row, rule, mapping);
    if (wanted.length === 0) continue;
    const kept = keepEvidence(genes, tokens, new Set(wanted), Math.floor(maxLength * EVIDENCE_SHARE), {
      seed: tokenizer.seed,
      row,
    });
    const together = atOnce ?? Math.max(LEAST_AT_ONCE, kept.length);
    const room = Math.max(1, Math.min(together, maxLength - kept.length));
    for (let start = 0; start < wanted.length; start += room) {
      const group = wanted.subarray(start, start + room);
      const named = row + (start / room) * cellCount;
      parts.push(merged(kept, group, mask, named));
      places.push(place);
    }
  }
  return { batch: concatenateBatches(parts), places: Int32Array.from(places), evidence };
}

/** Vocabulary ids of the genes to fill in, ascending. */
function genesToFill(
  genes: Int32Array,
  tokens: Int32Array,
  row: number,
  rule: FillRule,
  mapping: GeneMapping,
): Int32Array {
  switch (rule.kind) {
    case "zeros": {
      const expressed = new Set(genes);
      return (rule.genes ?? mapping.measured).filter((gene) => !expressed.has(gene));
    }
    case "listed":
      return rule.genes;
    case "hidden": {
      const random = new RandomStream(rule.seed, Purpose.mask, 0, row);
      return genes.filter(
        (_, i) => (tokens[i] as number) >= FIRST_RANK_TOKEN && random.uniform() < rule.share,
      );
    }
  }
}

/** A token of evidence. */
interface Token {
  readonly gene: number;
  readonly token: number;
}

/** The cell's tokens but for the genes to fill in; special tokens and, of the others, at most `most`. */
function keepEvidence(
  genes: Int32Array,
  tokens: Int32Array,
  wanted: ReadonlySet<number>,
  most: number,
  name: { readonly seed: number; readonly row: number },
): Token[] {
  const all = Array.from(genes, (gene, i) => ({ gene, token: tokens[i] as number }));
  const left = all.filter(({ gene }) => !wanted.has(gene));
  if (left.length <= most) return left;
  const order = Int32Array.from(left.keys()).filter((i) => (left[i] as Token).token >= FIRST_RANK_TOKEN);
  new RandomStream(name.seed, Purpose.geneSample, 0, name.row).shuffle(order);
  const dropped = new Set(order.subarray(0, left.length - most));
  return left.filter((_, i) => !dropped.has(i));
}

/** One cell of evidence and masked genes, by ascending gene id. */
function merged(kept: readonly Token[], masked: Int32Array, mask: number, name: number): RaggedBatch {
  const all = [...kept, ...Array.from(masked, (gene) => ({ gene, token: mask }))];
  all.sort((a, b) => a.gene - b.gene);
  return cellOf(
    Int32Array.from(all, ({ gene }) => gene),
    Int32Array.from(all, ({ token }) => token),
    name,
  );
}

function cellOf(genes: Int32Array, tokens: Int32Array, name: number): RaggedBatch {
  return { offsets: Int32Array.of(0, genes.length), genes, tokens, cells: Float64Array.of(name) };
}
