import { DdscError, type DdscErrorPlace } from "../base/errors.js";

/** Where a count was found. */
export interface CountPlace {
  /** Name of the source. */
  readonly file: string;
  readonly row: number;
  readonly gene: string;
}

/** The error for a count that no tokenizer takes: negative (`DATA_NEGATIVE_COUNT`) or no finite number (`DATA_NOT_FINITE`). */
export function badCount(place: CountPlace, count: unknown): DdscError {
  return wrongCount(where(place), count, place);
}

/**
 * The error for a count that `CountTokens` does not take: also one that is no whole number (`DATA_FRACTIONAL_COUNT`) or is
 * above 2^31 - 1 (`DATA_TOO_LARGE`).
 */
export function badWholeCount(place: CountPlace, count: number): DdscError {
  return refusedCount(where(place), count, place);
}

/** As `badWholeCount`, of a count that `what` names. */
export function refusedCount(what: string, count: number, place: DdscErrorPlace): DdscError {
  if (!(count >= 0 && count < Number.POSITIVE_INFINITY)) return wrongCount(what, count, place);
  return count % 1 !== 0
    ? new DdscError(
        "DATA_FRACTIONAL_COUNT",
        `${what}: ${count.toPrecision(4)}; the count model takes whole numbers, and this looks normalised or log-transformed: ` +
          "use raw counts (--layer or --raw), or pass allowFractional to round them",
        place,
      )
    : new DdscError(
        "DATA_TOO_LARGE",
        `${what}: ${count}; the count model takes counts up to 2^31 - 1; are these counts of molecules or reads?`,
        place,
      );
}

function wrongCount(what: string, count: unknown, place: DdscErrorPlace): DdscError {
  return typeof count === "number" && count < 0 && Number.isFinite(count)
    ? new DdscError(
        "DATA_NEGATIVE_COUNT",
        `${what}: ${count}; counts must be >= 0; pass raw counts, not scaled ones`,
        place,
      )
    : new DdscError(
        "DATA_NOT_FINITE",
        `${what}: ${String(count)}; counts must be finite numbers; clean the data first`,
        place,
      );
}

/** The error for a gene that one cell holds twice (`DATA_DUPLICATE_GENE`). */
export function duplicateGene(place: CountPlace): DdscError {
  return new DdscError(
    "DATA_DUPLICATE_GENE",
    `${where(place)} is given twice; sum the duplicates first`,
    place,
  );
}

function where({ file, row, gene }: CountPlace): string {
  return `${file}: row ${row}, gene "${gene}"`;
}
