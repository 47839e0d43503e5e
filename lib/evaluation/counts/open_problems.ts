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
  #squares = 0;
  #entries = 0;
  #test = 0;
  #train = 0;
  #weighted = 0;

  /** Adds a cell: test molecules and denoised counts of its measured genes, and the total that the method saw. */
  add(test: ArrayLike<number>, denoised: ArrayLike<number>, trainTotal: number): void {
    const testScale = CP10K / (total(test) || 1);
    const denoisedScale = CP10K / (total(denoised) || 1);
    for (let gene = 0; gene < test.length; gene++) {
      const y = test[gene] as number;
      const d = denoised[gene] as number;
      this.#squares += (Math.log1p(y * testScale) - Math.log1p(d * denoisedScale)) ** 2;
      this.#test += y;
      this.#weighted += d * Math.log(y + 1e-6);
    }
    this.#entries += test.length;
    this.#train += trainTotal;
  }

  scores(): OpenProblemsScores {
    return {
      mse: this.#squares / this.#entries,
      poisson: (this.#test - (this.#weighted * this.#test) / this.#train) / this.#entries,
    };
  }
}

function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum;
}
