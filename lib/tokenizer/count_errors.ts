import { DdscError } from "../base/errors.js";

/** Where a count was found. */
export interface CountPlace {
  /** Name of the source. */
  readonly file: string;
  readonly row: number;
  readonly gene: string;
}

/** The error for a count that is negative (`DATA_NEGATIVE_COUNT`) or no finite number (`DATA_NOT_FINITE`). */
export function badCount(place: CountPlace, count: unknown): DdscError {
  return typeof count === "number" && count < 0 && Number.isFinite(count)
    ? new DdscError(
        "DATA_NEGATIVE_COUNT",
        `${where(place)}: ${count}; counts must be >= 0; pass raw counts, not scaled ones`,
        place,
      )
    : new DdscError(
        "DATA_NOT_FINITE",
        `${where(place)}: ${String(count)}; counts must be finite numbers; clean the data first`,
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
