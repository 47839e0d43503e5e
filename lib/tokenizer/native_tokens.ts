import type { PickedCells } from "../data/sources/picked.js";
import type { CellBlock } from "../data/sources/source.js";
import { type NativeTokenizing, type NativeTokens, tokenizeCells, tokenizePicked } from "../native/tokens.js";
import type { CellTokenizer, GeneMapping, TokenizedCells } from "./cell_tokenizer.js";
import { QuantileRanks } from "./quantile_ranks.js";

/**
 * Tokens of the cells of a block by native code, the same to the last bit as `CellTokenizer.tokenizeHere` makes them.
 * Undefined where that has to do it: for other strategies than quantile ranks, to add unexpressed genes, and for a block
 * with a cell that is refused.
 */
export function tokenizeNatively(
  tokenizer: CellTokenizer,
  block: CellBlock,
  mapping: GeneMapping,
  epoch: number,
): TokenizedCells | undefined {
  const options = nativeOptions(tokenizer, mapping, epoch);
  return options && withReport(tokenizeCells(block, options), mapping);
}

/** As `tokenizeNatively`, of the cells picked from several blocks, off the event loop. */
export async function tokenizePickedNatively(
  tokenizer: CellTokenizer,
  blocks: readonly CellBlock[],
  picked: PickedCells,
  mapping: GeneMapping,
  epoch: number,
): Promise<TokenizedCells | undefined> {
  const options = nativeOptions(tokenizer, mapping, epoch);
  return options && withReport(await tokenizePicked(blocks, picked, options), mapping);
}

function nativeOptions(
  tokenizer: CellTokenizer,
  mapping: GeneMapping,
  epoch: number,
): NativeTokenizing | undefined {
  const { strategy, includeUnexpressed, maxLength, minGenes, cls, selection, seed } = tokenizer;
  if (!(strategy instanceof QuantileRanks) || includeUnexpressed) return undefined;
  return {
    steps: strategy.steps,
    ids: mapping.match.ids,
    room: maxLength - (cls ? 1 : 0),
    minGenes,
    cls,
    sample: selection === "sample",
    seed,
    epoch,
  };
}

function withReport(made: NativeTokens | null, mapping: GeneMapping): TokenizedCells | undefined {
  if (made === null) return undefined;
  const { offsets, genes, tokens, cells, skippedRows, unknownColumns, ...counted } = made;
  return {
    batch: { offsets, genes, tokens, cells },
    report: {
      ...counted,
      cells: cells.length,
      tokens: tokens.length,
      skippedRows: [...skippedRows],
      unknownGenes: Array.from(unknownColumns, (column) => mapping.genes[column]?.id ?? `column ${column}`),
    },
  };
}
