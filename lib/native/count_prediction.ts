import { checkNumber, wrongType } from "../base/errors.js";
import { cellOfEntry, type EntryCells, requireDrawn, requireFinite } from "./finite.js";
import type { NativeCountRows, NativeCountStatistics } from "./types.js";

/** A prediction of counts as the addon gives it. */
export interface AddonCountPrediction {
  logits(): Promise<Float32Array>;
  tilt(): Promise<Float32Array>;
  state(): Promise<Float32Array>;
  statistics(targets: Int32Array | null, logProbabilities: boolean): Promise<NativeCountStatistics>;
  guide(without: AddonCountPrediction, gamma: number): Promise<void>;
  draw(seed: number, step: number): Promise<{ values: Int32Array; counts: Int32Array }>;
  dispose(): void;
}

/** What a model of counts says about the queries of some cells, kept in native memory. */
export class CountPrediction implements Disposable {
  readonly #native: AddonCountPrediction;
  readonly #run: <T>(call: () => Promise<T>) => Promise<T>;
  readonly #queries: EntryCells;

  /** Made by `NativeDenoiser.predictCounts`. @hidden */
  constructor(
    native: AddonCountPrediction,
    queries: EntryCells,
    run: <T>(call: () => Promise<T>) => Promise<T>,
  ) {
    this.#native = native;
    this.#queries = queries;
    this.#run = run;
  }

  /** Of the network alone, [queries, V], row-major. */
  logits(): Promise<Float32Array> {
    return this.#run(() => this.#native.logits());
  }

  /** factor . z before the clamp, [queries]. */
  tilt(): Promise<Float32Array> {
    return this.#run(() => this.#native.tilt());
  }

  /** z of each cell, [cells, state]. Throws `MODEL_NOT_FINITE`. */
  async state(): Promise<Float32Array> {
    const state = await this.#run(() => this.#native.state());
    const { cells } = this.#queries;
    requireFinite([state], (entry) => cells[Math.floor((entry / state.length) * cells.length)] ?? 0);
    return state;
  }

  /** What it says of each query. `targets` are values, [queries]. Throws `MODEL_NOT_FINITE` where that is no number. */
  async statistics(
    options: { readonly targets?: Int32Array; readonly logProbabilities?: boolean } = {},
  ): Promise<NativeCountStatistics> {
    const { targets, logProbabilities = false } = options;
    const said = await this.#run(() => this.#native.statistics(targets ?? null, logProbabilities));
    const { logProbability, below, mean, variance, expressed } = said;
    requireFinite([logProbability, below, mean, variance, expressed], (query) => this.#cellOf(query));
    return said;
  }

  /**
   * Classifier-free guidance (Ho and Salimans, "Classifier-free diffusion guidance", 2022) before clamp, base and softmax: logits
   * and tilts become those of `without` + gamma times (these less those). From then on this says what is guided; `without`, the same
   * queries of the same model without conditions, stays as it is. Throws `ARGUMENT_TYPE`, `ARGUMENT_RANGE` for a prediction of another
   * model, `BATCH_INVALID` for other queries.
   */
  guide(without: CountPrediction, gamma: number): Promise<void> {
    checkNumber("gamma", gamma, { min: -100, max: 100 });
    if (!(without instanceof CountPrediction)) throw wrongType("without", without, "what predictCounts gave");
    return this.#run(() => this.#native.guide(without.#native, gamma));
  }

  /** A value and an integer count of each query, named by (seed, step, cell, row). Throws `MODEL_NOT_FINITE`. */
  async draw({ seed, step }: { readonly seed: number; readonly step: number }): Promise<{
    readonly values: Int32Array;
    readonly counts: Int32Array;
  }> {
    const drawn = await this.#run(() => this.#native.draw(seed, step));
    requireDrawn(drawn.counts, (query) => this.#cellOf(query));
    return drawn;
  }

  #cellOf(query: number): number {
    return cellOfEntry(this.#queries, query);
  }

  /** Frees the native memory. */
  [Symbol.dispose](): void {
    this.#native.dispose();
  }
}

/** The cells of queries, by the queries' number. */
export function queriesOf({ cells, offsets, keys }: NativeCountRows): EntryCells {
  const ends = new Int32Array(cells.length);
  let end = 0;
  for (let cell = 0; cell < cells.length; cell++) {
    end += (offsets[cell + 1] ?? 0) - (offsets[cell] ?? 0) - (keys[cell] ?? 0);
    ends[cell] = end;
  }
  return { cells: cells.slice(), ends };
}
