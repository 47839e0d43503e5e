import { DdscError } from "../base/errors.js";

/** A model is worse than this many times a blind guess only where its weights have run away. */
const WORSE = 2;
/** Checks in a row that may fail: a training that overshot in its warm-up gets the time to come back. */
const FAILED_CHECKS = 3;

/**
 * Watches the loss of a training for divergence, which stays finite where gradients are clipped: tokens masked are named worse
 * than by a blind guess, by far. Asked at every checkpoint about the steps since the last one.
 */
export class DivergenceWatch {
  /** Nats a masked token of a guess that knows nothing. */
  readonly #blind: number;
  /** More nats a masked token than these are a sign of divergence. */
  readonly #limit: number;
  #sum = 0;
  #steps = 0;
  #failed = 0;

  /** @param values number of ranks */
  constructor(values: number) {
    this.#blind = Math.log(values);
    this.#limit = WORSE * this.#blind;
  }

  /** Takes in a step. @param crossEntropy nats a masked token; NaN where nothing was masked */
  add(crossEntropy: number): void {
    if (Number.isNaN(crossEntropy)) return;
    this.#sum += crossEntropy;
    this.#steps++;
  }

  /** Whether the steps since the last check are as they should be: what came of them is worth keeping. */
  get good(): boolean {
    return this.#steps === 0 || this.#sum / this.#steps <= this.#limit;
  }

  /** Whether a validation may be the best so far. @param crossEntropy nats a masked token */
  mayBeBest(crossEntropy: number): boolean {
    return this.good && crossEntropy <= this.#limit;
  }

  /**
   * Whether they are, at a checkpoint. Throws `TRAIN_DIVERGED` at the third check in a row that fails, and at the last step's.
   * @param last whether the training ends here
   */
  check(step: number, last: boolean): boolean {
    const { good } = this;
    const steps = this.#steps;
    const mean = this.#sum / steps;
    this.#failed = good ? 0 : this.#failed + 1;
    this.#sum = 0;
    this.#steps = 0;
    if (good || (!last && this.#failed < FAILED_CHECKS)) return good;
    throw new DdscError(
      "TRAIN_DIVERGED",
      `step ${step}: the training has diverged: ${mean.toPrecision(3)} nats a masked token in the last ` +
        `${steps === 1 ? "step" : `${steps} steps`}, where a blind guess has ${this.#blind.toPrecision(3)}; what was saved before is ` +
        "kept: train anew with a lower learningRate or a longer warm-up",
      { step },
    );
  }
}
