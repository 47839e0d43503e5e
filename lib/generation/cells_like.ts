import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { streamCells } from "../batching/index.js";
import { CellConditions } from "../conditions/cell_conditions.js";
import { shareOf } from "../counts/count_base.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { requireBase } from "../sampling/counts/model.js";
import type { CellTemplate, TemplateOf } from "../sampling/index.js";
import { CellTokenizer } from "../tokenizer/index.js";

/** Cells to generate others like. */
export interface LikeCells {
  /** Cells that have a count of a gene of the model. */
  readonly cells: number;
  /** Ids of the genes that any of them measures, ascending. */
  readonly genes: Int32Array;
  /** Of as many cells as there are: each like the one of its index. Of another number: like cells drawn at random. */
  templates(cells: number, seed: number): TemplateOf;
}

/**
 * Reads what cells are like: their total counts, their measured genes and their conditions, of the genes and conditions that the
 * model knows. Where a cell measures some of the genes, what it would have of the others is added to its total: as much as a cell of
 * that depth is expected to. 8 bytes a cell and 4 a condition are held. Cells without a count of these genes are left out.
 *
 * Throws `MODEL_BASE`, `DATA_NO_CELLS` where no cell is left, `CONDITION_LABEL_UNKNOWN` for a label that the model has not learnt, and as reading does.
 */
export async function cellsLike(
  source: CellSource,
  model: Denoiser,
  signal?: AbortSignal,
): Promise<LikeCells> {
  const tokenizer = new CellTokenizer({
    vocabulary: model.vocabulary,
    strategy: model.strategy,
    cls: false,
    maxLength: model.vocabulary.size + 1,
  });
  const base = requireBase(model);
  const { panels } = tokenizer.map(source);
  const shares = panels.map((genes) => shareOf(genes, base.share));
  const conditions = await CellConditions.read(source, model.conditions);
  const rows: number[] = [];
  const totals: number[] = [];
  const panelOf: number[] = [];
  for await (const { batch } of streamCells(source, tokenizer, signal === undefined ? {} : { signal })) {
    for (const [cell, row] of batch.cells.entries()) {
      let total = 0;
      for (let i = batch.offsets[cell] ?? 0; i < (batch.offsets[cell + 1] ?? 0); i++)
        total += batch.counts?.[i] ?? 0;
      if (total === 0) continue;
      rows.push(row);
      const panel = batch.panels?.[cell] ?? 0;
      const share = shares[panel] ?? 1;
      totals.push(total + Math.round(base.estimateDepth(total, share) * Math.max(0, 1 - share)));
      panelOf.push(panel);
    }
  }
  if (rows.length === 0) {
    throw new DdscError(
      "DATA_NO_CELLS",
      `${source.name}: none of its cells has a count of a gene that the model knows; give others to generate cells like`,
      { file: source.name },
    );
  }
  const templateOf = (place: number): CellTemplate => ({
    total: totals[place] ?? 1,
    ...conditions.of(Float64Array.of(rows[place] ?? 0)),
    genes: panels[panelOf[place] ?? 0] ?? new Int32Array(0),
  });
  return {
    cells: rows.length,
    genes: Int32Array.from(new Set(panels.flatMap((genes) => [...genes]))).sort(),
    templates: (cells, seed) => (cell) =>
      templateOf(
        cells === rows.length
          ? cell % rows.length
          : new RandomStream(seed, Purpose.simulate, 0, cell).below(rows.length),
      ),
  };
}
