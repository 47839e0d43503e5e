import type { CellBlock } from "../data/sources/cells.js";
import type { CellPlaces } from "../data/sources/gather.js";
import { type NativeTokenizing, type NativeTokens, tokenizeCells, tokenizePicked } from "../native/tokens.js";
import { CountTokens } from "./count_tokens.js";
import { QuantileRanks } from "./quantile_ranks.js";
import type { TokenStrategy } from "./strategy.js";
import type { GeneMapping, TokenizedCells } from "./tokenized_cells.js";

/** The settings of a `CellTokenizer` that decide about its tokens. */
interface TokenizerSettings {
  readonly strategy: TokenStrategy;
  readonly includeUnexpressed: boolean;
  readonly maxLength: number;
  readonly minGenes: number;
  readonly cls: boolean;
  readonly selection: "sample" | "truncate";
  readonly seed: number;
}

/**
 * Tokens of the cells of a block by native code, the same to the last bit as `CellTokenizer.tokenizeHere` makes them.
 * Undefined where that has to do it: for strategies of others, to add unexpressed genes, and for a block
 * with a cell that is refused.
 */
export function tokenizeNatively(
  tokenizer: TokenizerSettings,
  block: CellBlock,
  mapping: GeneMapping,
  epoch: number,
): TokenizedCells | undefined {
  const options = nativeOptions(tokenizer, mapping, epoch);
  return options && withReport(tokenizeCells(block, options), mapping);
}

/** As `tokenizeNatively`, of the cells picked from several blocks, off the event loop. */
export async function tokenizePickedNatively(
  tokenizer: TokenizerSettings,
  blocks: readonly CellBlock[],
  picked: CellPlaces,
  mapping: GeneMapping,
  epoch: number,
): Promise<TokenizedCells | undefined> {
  const options = nativeOptions(tokenizer, mapping, epoch);
  return options && withReport(await tokenizePicked(blocks, picked, options), mapping);
}

function nativeOptions(
  tokenizer: TokenizerSettings,
  mapping: GeneMapping,
  epoch: number,
): NativeTokenizing | undefined {
  const { strategy, includeUnexpressed, maxLength, minGenes, cls, selection, seed } = tokenizer;
  const values = nativeValues(strategy);
  if (values === undefined || includeUnexpressed) return undefined;
  return {
    values,
    ids: mapping.match.ids,
    room: values.kind === "counts" ? 2 ** 31 - 1 : maxLength - (cls ? 1 : 0),
    minGenes,
    cls,
    sample: selection === "sample",
    seed,
    epoch,
  };
}

function nativeValues(strategy: TokenStrategy): NativeTokenizing["values"] | undefined {
  if (strategy instanceof QuantileRanks) return { kind: "ranks", steps: strategy.steps };
  if (strategy instanceof CountTokens) return { kind: "counts", allowFractional: strategy.allowFractional };
  return undefined;
}

function withReport(made: NativeTokens | null, mapping: GeneMapping): TokenizedCells | undefined {
  if (made === null) return undefined;
  const { offsets, genes, tokens, counts, cells, skippedRows, unknownColumns, ...counted } = made;
  const batch = { offsets, genes, tokens, cells };
  return {
    batch:
      counts === undefined
        ? batch
        : { ...batch, counts, panels: Int32Array.from(cells, (row) => mapping.panelOf(row)) },
    report: {
      ...counted,
      cells: cells.length,
      tokens: tokens.length,
      skippedRows: [...skippedRows],
      unknownGenes: Array.from(unknownColumns, (column) => mapping.genes[column]?.id ?? `column ${column}`),
    },
  };
}
