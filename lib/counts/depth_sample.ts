import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import type { ToldConditions } from "../conditions/cell_conditions.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type CountBase, shareOf } from "./count_base.js";

/** The saved form of a `DepthSample`; null stands for a number that a cell was not told. */
export interface DepthSampleJson {
  readonly depth: readonly number[];
  readonly labels: readonly number[];
  readonly numbers: readonly (number | null)[];
}

/** Conditions that drawn cells are to have: what the network is told, undefined where any will do. */
export interface WantedConditions {
  /** By label condition. */
  readonly labels: readonly (number | undefined)[];
  /** By number condition, in standard units; NaN: any. */
  readonly numbers: readonly (number | undefined)[];
}

/** Training cells of which depths are kept, and from which it is learnt how cells are summed up, at most. */
export const SAMPLE_CELLS = 3000;

/** Where a number is asked for, so many cells of the nearest numbers are drawn from. */
const NEAREST = 50;

/**
 * Depth and conditions of some training cells, from which those of generated cells are drawn: cells of a condition are as deep as
 * its training cells were. Saved with the model.
 */
export class DepthSample {
  /** Depth of each cell: its total over the shares of its measured genes. [cells] */
  readonly depth: Float64Array;
  /** What each cell is told, [cells, label conditions] and [cells, number conditions]. */
  readonly told: ToldConditions;

  constructor(depth: Float64Array, told: ToldConditions) {
    checkKind("depth", depth, "doubles");
    checkKind("told", told, "object");
    this.depth = depth;
    this.told = told;
  }

  /**
   * Of the cells of a batch of count tokens.
   * @param panels of the mapping that the batch is of
   */
  static of(
    batch: RaggedBatch,
    panels: readonly Int32Array[],
    base: CountBase,
    told: ToldConditions,
  ): DepthSample {
    checkKind("batch", batch, "batch");
    checkKind("panels", panels, "panels");
    checkKind("base", base, "base");
    const shares = panels.map((genes) => shareOf(genes, base.share));
    const depth = Float64Array.from(batch.cells, (_, cell) => {
      let total = 0;
      for (let i = batch.offsets[cell] ?? 0; i < (batch.offsets[cell + 1] ?? 0); i++)
        total += batch.counts?.[i] ?? 0;
      return total / (shares[batch.panels?.[cell] ?? 0] ?? 1);
    });
    return new DepthSample(depth, told);
  }

  /** The sample that `toJSON` wrote. Throws `CHECKPOINT_CONFIG` for anything else; `file` is named in messages. */
  static fromJSON(
    json: unknown,
    conditions: { readonly labels: number; readonly numbers: number },
    file: string,
  ): DepthSample {
    checkKind("conditions", conditions, "object");
    const { depth, labels, numbers } = (json ?? {}) as Readonly<Record<keyof DepthSampleJson, unknown>>;
    const cells = Array.isArray(depth) ? depth.length : 0;
    const isGood =
      isList<number>(depth, (value) => value >= 0 && value < Number.POSITIVE_INFINITY) &&
      isList<number>(labels, (value) => Number.isInteger(value) && value >= 0) &&
      isList<number | null>(numbers, (value) => value === null || Number.isFinite(value)) &&
      labels.length === cells * conditions.labels &&
      numbers.length === cells * conditions.numbers;
    if (isGood) {
      return new DepthSample(Float64Array.from(depth), {
        labels: Int32Array.from(labels),
        numbers: Float32Array.from(numbers, (value) => value ?? Number.NaN),
      });
    }
    throw new DdscError(
      "CHECKPOINT_CONFIG",
      `${file}: depths and conditions of training cells do not fit the model; the file is damaged or was changed by hand: restore it`,
      { file },
    );
  }

  /** Plain JSON from which `fromJSON` makes the same sample again. */
  toJSON(): DepthSampleJson {
    const { labels, numbers } = this.told;
    return {
      depth: [...this.depth],
      labels: [...labels],
      numbers: Array.from(numbers, (value) => (Number.isNaN(value) ? null : value)),
    };
  }

  /**
   * The cells that have such conditions: of the labels asked for, and of these, where numbers are asked for, the 50 of the nearest
   * ones. Empty where none has the labels.
   */
  matching({ labels, numbers }: WantedConditions): Int32Array {
    const cells = Int32Array.from(this.depth.keys()).filter((cell) =>
      labels.every((label, i) => label === undefined || label === this.told.labels[cell * labels.length + i]),
    );
    if (numbers.every((number) => number === undefined)) return cells;
    const distance = (cell: number) =>
      numbers.reduce<number>((sum, number, i) => {
        if (number === undefined) return sum;
        const own = this.told.numbers[cell * numbers.length + i] ?? Number.NaN;
        return sum + (Number.isNaN(own) ? Number.POSITIVE_INFINITY : (own - number) ** 2);
      }, 0);
    const distances = new Map(Array.from(cells, (cell) => [cell, distance(cell)]));
    return Int32Array.from(cells)
      .sort((a, b) => (distances.get(a) ?? 0) - (distances.get(b) ?? 0) || a - b)
      .subarray(0, NEAREST)
      .slice();
  }
}

function isList<T extends number | null>(
  value: unknown,
  isGood: (item: T) => boolean,
): value is readonly T[] {
  return (
    Array.isArray(value) &&
    value.every((item) => (item === null || typeof item === "number") && isGood(item as T))
  );
}
