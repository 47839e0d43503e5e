import { DdscError } from "../base/errors.js";
import { withThousands } from "../base/thousands.js";
import type { CellSelection } from "../data/select/selection.js";
import { rowsWhere } from "../data/select/where.js";
import type { CellSource } from "../data/sources/source.js";
import type { TokenizerReport } from "../tokenizer/index.js";
import type { TaskHooks } from "./hooks.js";

/** What was asked for where nothing could be scored. */
export interface EmptyEvaluation {
  readonly source: CellSource;
  /** The run's held-out cells, or all of other data. */
  readonly heldOut: CellSelection;
  /** The condition that was asked for. */
  readonly where: string | undefined;
  /** What the tokenizer made of the cells that were chosen. */
  readonly report: TokenizerReport;
}

/**
 * Which condition left no cell to score: an `EVALUATION_EMPTY` that names it and says what to change; undefined where
 * cells were left, so that something else is the matter.
 */
export async function explainEmpty(
  asked: EmptyEvaluation,
  { nameOf }: Pick<TaskHooks, "nameOf">,
): Promise<DdscError | undefined> {
  const { source, heldOut, where, report } = asked;
  if (report.cells > 0) return undefined;
  const skipped = report.emptyCells + report.unknownOnlyCells + report.smallCells;
  if (skipped > 0) {
    return empty(
      source,
      `none of the ${withThousands(skipped)} cells to score expresses enough genes that the model knows; give other cells`,
    );
  }
  const data = nameOf("data");
  if (where === undefined) {
    return empty(
      source,
      `none of the cells is held out by the run; give other cells with ${data}, or train with a larger ${nameOf("validation")}`,
    );
  }
  const condition = `${nameOf("where")} ${where}`;
  const matching = await rowsWhere(source, where);
  if (matching.length === 0) {
    return empty(source, `${condition} holds for no cell; \`ddsc inspect\` shows the metadata of cells`);
  }
  if (heldOut.where !== undefined) {
    const used = new Set(await rowsWhere(source, heldOut.where));
    if (!matching.some((row) => used.has(row))) {
      return empty(
        source,
        `the run was trained with ${nameOf("where")} ${heldOut.where}, which excludes every cell for which ${condition} holds; ` +
          `to score those, put them in a file of their own (\`ddsc convert --where\`) and give that with ${data}`,
      );
    }
  }
  return empty(
    source,
    `none of the ${withThousands(matching.length)} cells for which ${condition} holds is held out by the run; ` +
      `choose others, or hold them out when training, with ${nameOf("validation.where")}`,
  );
}

function empty({ name }: CellSource, problem: string): DdscError {
  return new DdscError("EVALUATION_EMPTY", `${name}: ${problem}`, { file: name });
}
