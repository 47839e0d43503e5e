import { DdscError } from "../base/errors.js";
import { type EvaluationScores, ScoreTotals, scoresByRatio } from "./scores.js";

/** Scores of the model on the cells of one group. */
export interface GroupScores {
  readonly cells: number;
  /** Their rank tokens. */
  readonly tokens: number;
  /** By mask ratio; a ratio at which none of the group's tokens was masked is left out. */
  readonly ratios: Readonly<Record<string, EvaluationScores>>;
}

/** Groups at most: a column with more values names cells rather than groups. */
const MOST_GROUPS = 1000;

interface Totals {
  cells: number;
  tokens: number;
  readonly byRatio: ReadonlyMap<number, ScoreTotals>;
}

/** Adds up the scores of a model group by group. */
export class GroupTotals {
  readonly #ratios: readonly number[];
  readonly #groups = new Map<string, Totals>();

  constructor(ratios: readonly number[]) {
    this.#ratios = ratios;
  }

  /** Counts a cell of a group with its rank tokens. Throws `EVALUATION_GROUPS` where there are too many groups. */
  addCell(group: string, tokens: number): void {
    let totals = this.#groups.get(group);
    if (totals === undefined) {
      if (this.#groups.size === MOST_GROUPS) {
        throw new DdscError(
          "EVALUATION_GROUPS",
          `there are more than ${MOST_GROUPS} groups, such as "${group}"; choose a column that several cells share`,
          { argument: "by" },
        );
      }
      totals = {
        cells: 0,
        tokens: 0,
        byRatio: new Map(this.#ratios.map((ratio) => [ratio, new ScoreTotals()])),
      };
      this.#groups.set(group, totals);
    }
    totals.cells++;
    totals.tokens += tokens;
    for (const sums of totals.byRatio.values()) sums.addValid(tokens);
  }

  /** What masked tokens of a group are added to. */
  at(group: string, ratio: number): ScoreTotals | undefined {
    return this.#groups.get(group)?.byRatio.get(ratio);
  }

  /** The means, groups with most cells first. */
  scores(): Record<string, GroupScores> {
    const sorted = [...this.#groups].sort(([a, x], [b, y]) => y.cells - x.cells || (a < b ? -1 : 1));
    return Object.fromEntries(
      sorted.map(([group, { cells, tokens, byRatio }]) => {
        const masked = new Map([...byRatio].filter(([, totals]) => totals.masked > 0));
        return [group, { cells, tokens, ratios: scoresByRatio(masked) }];
      }),
    );
  }
}
