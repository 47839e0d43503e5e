import { Purpose, RandomStream } from "../base/random.js";
import { takeTurn } from "../base/turns.js";
import { concatenateInTurns } from "../batching/collate.js";
import type { RaggedBatch } from "../batching/index.js";
import { type CellSelection, CellSelector } from "../data/select/selection.js";
import { joinRows, rowSpans } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import { chooseWithoutReplacement } from "../tokenizer/choose.js";
import type { CellTokenizer } from "../tokenizer/index.js";

/** Rows of a span, at most. */
const SPAN_CELLS = 1024;
/** Validation cells come from so many places of the data, where it has that many. */
const PLACES = 16;

/**
 * Tokens of some cells of a selection, at most `cells`, chosen by the seed: a few from each of the source's parts in random
 * order until there are enough, so that no more is read than needed. By ascending row; skipped cells are left out.
 */
export async function tokensOfSome(
  source: CellSource,
  tokenizer: CellTokenizer,
  options: { readonly selection: CellSelection; readonly cells: number; readonly seed: number },
): Promise<RaggedBatch> {
  const mapping = tokenizer.map(source);
  const batches: { readonly first: number; readonly batch: RaggedBatch }[] = [];
  // A read is of one span: neighbours in the file.
  for (const rows of await chooseRows(source, options)) {
    const block = await source.read(rows);
    await takeTurn();
    const { batch } = tokenizer.tokenize(block, mapping, 0);
    batches.push({ first: rows[0] ?? 0, batch });
  }
  return concatenateInTurns(batches.sort((a, b) => a.first - b.first).map(({ batch }) => batch));
}

/** Rows of the chosen cells, ascending, a list for each span they come from. */
async function chooseRows(
  source: CellSource,
  {
    selection,
    cells,
    seed,
  }: { readonly selection: CellSelection; readonly cells: number; readonly seed: number },
): Promise<Int32Array[]> {
  const selector = await CellSelector.create(source, selection);
  const spans = Array.from(rowSpans(source.partBounds, SPAN_CELLS));
  const order = new RandomStream(seed, Purpose.split, 1).shuffle(
    Int32Array.from({ length: spans.length }, (_, span) => span),
  );
  const share = Math.ceil(cells / PLACES);
  const chosen = new Map<number, Int32Array>();
  /** What spans had beside their share, for data with few of them. */
  const spare: { readonly span: number; readonly rows: Int32Array }[] = [];
  let count = 0;
  let spared = 0;
  for (const number of order) {
    const span = spans[number];
    if (count >= cells || span === undefined) break;
    await takeTurn();
    const rows = await selector.rows(span);
    const random = new RandomStream(seed, Purpose.split, 2, number);
    const own = pick(rows, Math.min(share, cells - count), random);
    chosen.set(number, own);
    count += own.length;
    if (spared >= cells || own.length === rows.length) continue;
    const taken = new Set(own);
    const others = pick(
      rows.filter((row) => !taken.has(row)),
      cells - spared,
      random,
    );
    spare.push({ span: number, rows: others });
    spared += others.length;
  }
  for (const { span, rows } of spare) {
    const more = rows.subarray(0, cells - count);
    chosen.set(span, joinRows([chosen.get(span) ?? new Int32Array(0), more]).sort());
    count += more.length;
  }
  return [...chosen.values()].filter((rows) => rows.length > 0);
}

/** At most `count` of some rows, ascending. */
function pick(rows: Int32Array, count: number, random: RandomStream): Int32Array {
  if (rows.length <= count) return rows;
  return chooseWithoutReplacement(rows.length, count, random).map((place) => rows[place] ?? 0);
}
