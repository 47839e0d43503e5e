import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { withThousands } from "../base/thousands.js";
import { labelsFrom } from "../data/select/labels.js";
import { CellSelector } from "../data/select/selection.js";
import { joinRows, rowSpans } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import type { CountCells } from "../evaluation/index.js";
import { chooseWithoutReplacement } from "../tokenizer/choose.js";
import { badWholeCount } from "../tokenizer/count_errors.js";
import { mapPanels } from "../tokenizer/gene_panels.js";
import { CountTokens, type GeneMapping, type GeneVocabulary } from "../tokenizer/index.js";
import type { TaskHooks } from "./hooks.js";
import type { ChosenSource } from "./run_cells.js";

/** Rows that are read at a time. */
const SPAN_CELLS = 4096;
/** Step of the stream `Purpose.split` by which cells are chosen, apart from those of other draws. */
const READ_STEP = 2 ** 43 + 16;
/** Genes that a note names. */
const EXAMPLES = 3;

/** How cells are read. */
export interface ReadOptions {
  /** Cells at most; more are drawn from by the seed, each set equally likely. */
  readonly cells: number;
  readonly seed: number;
  /** Tells draws of one seed apart. */
  readonly number: number;
  readonly allowFractional: boolean;
  /** Column of metadata that holds the groups; left out, cells have no labels. */
  readonly by: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Counts of some cells of a selection, those without any count too: a generator that draws empty cells must not have them left
 * out. Throws `DATA_FRACTIONAL_COUNT` and other errors of counts.
 */
export async function readCells(
  { source, selection }: ChosenSource,
  mapping: GeneMapping,
  { cells, seed, number, allowFractional, by, signal }: ReadOptions,
): Promise<CountCells> {
  const selector = await CellSelector.create(source, selection);
  const spans = [...rowSpans(source.partBounds, SPAN_CELLS)];
  const found: Int32Array[] = [];
  for (const span of spans) {
    signal?.throwIfAborted();
    found.push(await selector.rows(span));
  }
  const all = joinRows(found);
  const random = new RandomStream(seed, Purpose.split, READ_STEP + number);
  const rows =
    all.length <= cells
      ? all
      : chooseWithoutReplacement(all.length, cells, random).map((place) => all[place] as number);
  const counts = new CountTokens({ allowFractional });
  const parts: { offsets: Int32Array; genes: Int32Array; counts: Int32Array }[] = [];
  for (const { first, end } of spans) {
    const own = rows.filter((row) => row >= first && row < end);
    if (own.length > 0) parts.push(await readSpan(source, own, mapping, counts, signal));
  }
  const labels = by === undefined ? undefined : await labelsFrom(source, by)(Float64Array.from(rows));
  let length = 0;
  const ends = parts.flatMap(({ offsets }) => {
    const start = length;
    length += offsets.at(-1) ?? 0;
    return Array.from(offsets.subarray(1), (offset) => start + offset);
  });
  return {
    offsets: Int32Array.from([0, ...ends]),
    genes: joinRows(parts.map(({ genes }) => genes)),
    counts: joinRows(parts.map((part) => part.counts)),
    panels: rows.map((row) => mapping.panelOf(row)),
    panelGenes: mapping.panels,
    ...(labels === undefined ? {} : { labels }),
  };
}

async function readSpan(
  source: CellSource,
  rows: Int32Array,
  { match, genes: known }: GeneMapping,
  tokens: CountTokens,
  signal: AbortSignal | undefined,
): Promise<{ offsets: Int32Array; genes: Int32Array; counts: Int32Array }> {
  const block = await source.read(rows, signal);
  const offsets = new Int32Array(rows.length + 1);
  const genes: number[] = [];
  const counts: number[] = [];
  for (const [cell, row] of rows.entries()) {
    const entries: [number, number][] = [];
    for (let i = block.offsets[cell] as number; i < (block.offsets[cell + 1] as number); i++) {
      const [column, stored] = [block.columns[i] as number, block.counts[i] as number];
      const id = match.ids[column] as number;
      if (id < 0) continue;
      const count = tokens.wholeCount(stored);
      if (Number.isNaN(count)) {
        throw badWholeCount(
          { file: source.name, row, gene: known[column]?.id ?? `column ${column}` },
          stored,
        );
      }
      if (count > 0) entries.push([id, count]);
    }
    entries.sort(([a], [b]) => a - b);
    for (const [id, count] of entries) {
      genes.push(id);
      counts.push(count);
    }
    offsets[cell + 1] = genes.length;
  }
  return { offsets, genes: Int32Array.from(genes), counts: Int32Array.from(counts) };
}

/** Finds a source's genes among those of the real cells. Throws `COMPARE_NO_GENES`. */
export function mapGenes(
  source: CellSource,
  vocabulary: GeneVocabulary,
  real: CellSource,
  { nameOf }: Pick<TaskHooks, "nameOf">,
): GeneMapping {
  const { name, genes } = source;
  const match = vocabulary.match(genes);
  if (match.matched === 0) {
    throw new DdscError(
      "COMPARE_NO_GENES",
      `${name}: none of its ${genes.length} genes (${examples(genes)}) is in ${real.name} (${examples(real.genes)}); ` +
        `choose the column of gene identifiers that fits with ${nameOf("geneColumn")}, or take data of the same organism`,
      { file: name },
    );
  }
  const measured = match.ids.filter((id) => id >= 0).sort();
  return { sourceName: name, genes, match, measured, ...mapPanels(source, match, measured) };
}

/** Notes which genes only one of two sources measures. */
export function noteGenes(
  mapping: GeneMapping,
  real: GeneMapping,
  { onNote }: Pick<TaskHooks, "onNote">,
): void {
  const { sourceName, genes, match } = mapping;
  const shared = new Set(mapping.measured);
  const lacking = real.genes.filter((_, column) => !shared.has(real.match.ids[column] as number));
  const others = genes.filter((_, column) => (match.ids[column] as number) < 0);
  for (const [left, of, not] of [
    [lacking, real.sourceName, sourceName],
    [others, sourceName, real.sourceName],
  ] as const) {
    if (left.length === 0) continue;
    onNote(
      `${of}: left out ${withThousands(left.length)} of ${withThousands(of === sourceName ? genes.length : real.genes.length)} genes ` +
        `that ${not} does not measure: ${examples(left)}`,
    );
  }
}

function examples(genes: readonly { readonly id: string }[]): string {
  const some = genes.slice(0, EXAMPLES).map(({ id }) => id);
  return [...some, ...(genes.length > EXAMPLES ? ["..."] : [])].join(", ");
}
