import type { RankShare } from "../rank_share.js";
import { CP10K } from "./hidden_entries.js";

/** The two numbers of the denoising benchmark of Open Problems in Single-Cell Analysis; lower is better in both, so it says. */
export interface OpenProblemsScores {
  readonly mse: number;
  readonly poisson: number;
}

/**
 * The numbers as openproblems-bio/task_denoising computes them (src/metrics/mse, src/metrics/poisson):
 *
 * - mse: mean over cells and genes of (log1p(CP10k) of the test molecules less that of the denoised counts) squared;
 * - poisson: mean of y - d log(y + 1e-6), d = denoised * (sum of test) / (sum of train), y the test molecules. As published, the
 *   test molecules stand where the prediction belongs: -d log(1e-6) punishes any d above 0 where no molecule was drawn, so that
 *   this number prefers less denoising. It is not to be read as a likelihood.
 */
export class OpenProblemsTotals {
  /** By cell. */
  readonly #squares: Float64Array;
  readonly #entries: Float64Array;
  readonly #test: Float64Array;
  readonly #train: Float64Array;
  readonly #weighted: Float64Array;

  constructor(cells: number) {
    this.#squares = new Float64Array(cells);
    this.#entries = new Float64Array(cells);
    this.#test = new Float64Array(cells);
    this.#train = new Float64Array(cells);
    this.#weighted = new Float64Array(cells);
  }

  /** Adds a cell: test molecules and denoised counts of its measured genes, and the total that the method saw. */
  add(cell: number, test: ArrayLike<number>, denoised: ArrayLike<number>, trainTotal: number): void {
    const testScale = CP10K / (total(test) || 1);
    const denoisedScale = CP10K / (total(denoised) || 1);
    let squares = 0;
    let weighted = 0;
    for (let gene = 0; gene < test.length; gene++) {
      const y = test[gene] as number;
      const d = denoised[gene] as number;
      squares += (Math.log1p(y * testScale) - Math.log1p(d * denoisedScale)) ** 2;
      weighted += d * Math.log(y + 1e-6);
    }
    this.#squares[cell] = squares;
    this.#weighted[cell] = weighted;
    this.#entries[cell] = test.length;
    this.#test[cell] = total(test);
    this.#train[cell] = trainTotal;
  }

  /** Fills in what the other ranks found of their cells. */
  async exchange(share: RankShare): Promise<void> {
    for (const table of [this.#squares, this.#entries, this.#test, this.#train, this.#weighted])
      await share.exchange(table);
  }

  scores(): OpenProblemsScores {
    const [entries, test] = [total(this.#entries), total(this.#test)];
    return {
      mse: total(this.#squares) / entries,
      poisson: (test - (total(this.#weighted) * test) / total(this.#train)) / entries,
    };
  }
}

function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum;
}
