import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { BASELINE_KINDS, type BaselineKind, type RankBaselines } from "./baselines.js";
import { type EvaluationScores, ScoreTotals, scoresByRatio } from "./scores.js";

/** Scores of one baseline: with every token masked, and by ratio on the same masked tokens as the model. */
export interface BaselineScores extends EvaluationScores {
  readonly ratios: Readonly<Record<string, EvaluationScores>>;
}

/** Sums of one baseline. */
interface Totals {
  readonly all: ScoreTotals;
  readonly byRatio: ReadonlyMap<number, ScoreTotals>;
}

/** Adds up the scores of every baseline at every mask ratio. */
export class BaselineTotals {
  readonly #baselines: RankBaselines;
  readonly #totals: Readonly<Record<BaselineKind, Totals>>;

  constructor(baselines: RankBaselines, ratios: readonly number[]) {
    this.#baselines = baselines;
    const empty = (): Totals => ({
      all: new ScoreTotals(),
      byRatio: new Map(ratios.map((ratio) => [ratio, new ScoreTotals()])),
    });
    this.#totals = { globalMode: empty(), geneMode: empty(), geneMarginal: empty() };
  }

  /** Adds rows of a batch with `valid` rank tokens that were masked at `ratio`, by cell. */
  addMasked(ratio: number, batch: RaggedBatch, rows: readonly Int32Array[], valid: number): void {
    for (const kind of BASELINE_KINDS)
      this.#add(kind, this.#totals[kind].byRatio.get(ratio), batch, rows, valid);
  }

  /** Adds every rank token of a batch: its rows by cell. */
  addAll(batch: RaggedBatch, rows: readonly Int32Array[], valid: number): void {
    for (const kind of BASELINE_KINDS) this.#add(kind, this.#totals[kind].all, batch, rows, valid);
  }

  /** The means. Throws `EVALUATION_EMPTY` where nothing was added. */
  scores(): Record<BaselineKind, BaselineScores> {
    const of = ({ all, byRatio }: Totals) => ({ ratios: scoresByRatio(byRatio), ...all.scores() });
    const { globalMode, geneMode, geneMarginal } = this.#totals;
    return { globalMode: of(globalMode), geneMode: of(geneMode), geneMarginal: of(geneMarginal) };
  }

  #add(
    kind: BaselineKind,
    totals: ScoreTotals | undefined,
    batch: RaggedBatch,
    rowsByCell: readonly Int32Array[],
    valid: number,
  ): void {
    totals?.addValid(valid);
    for (const rows of rowsByCell) {
      for (const row of rows) {
        const rank = (batch.tokens[row] as number) - FIRST_RANK_TOKEN;
        const predicted = this.#baselines.predict(kind, batch.genes[row] as number);
        const probability = predicted.probabilities?.[rank];
        totals?.addMasked(
          rank,
          predicted.rank,
          probability === undefined ? undefined : Math.log(probability),
        );
      }
    }
  }
}
