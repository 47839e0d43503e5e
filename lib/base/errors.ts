import { printable } from "./printable.js";
import { didYouMean } from "./suggest.js";

/** Where a problem was found; every field that is known is filled in. */
export interface DdscErrorPlace {
  /** File, folder or URL as the user named it. */
  readonly file?: string;
  /** Row (cell) number, from 0, in the file. */
  readonly row?: number;
  /** The cell's own name in the file. */
  readonly cell?: string;
  /** Gene identifier as the file writes it. */
  readonly gene?: string;
  /** Name of the argument or command-line option. */
  readonly argument?: string;
  /** Training step, from 1. */
  readonly step?: number;
}

/**
 * The one error type of the package. `code` is stable and documented; `message` says what is wrong, where,
 * and what to do about it, in one line; control characters of names that it quotes are written as escapes.
 */
export class DdscError extends Error {
  override readonly name = "DdscError";
  /** Stable, upper-case identifier such as `DATA_NEGATIVE_COUNT`. */
  readonly code: string;
  /** Where it was found. */
  readonly place: DdscErrorPlace;

  constructor(code: string, message: string, place: DdscErrorPlace = {}, options?: ErrorOptions) {
    super(`${code}: ${printable(message)}`, options);
    this.code = code;
    this.place = place;
  }

  /** The message without its code. */
  get text(): string {
    return this.message.slice(`${this.code}: `.length);
  }
}

/** Throws `ARGUMENT_RANGE` unless `value` is a finite number within [min, max] (a whole one if asked). */
export function checkNumber(
  argument: string,
  value: unknown,
  range: { min?: number; max?: number; integer?: boolean } = {},
): number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, integer = false } = range;
  const good =
    typeof value === "number" &&
    Number.isFinite(value) &&
    value >= min &&
    value <= max &&
    (!integer || Number.isInteger(value));
  if (good) return value;
  const kind = integer ? "a whole number" : "a number";
  const lower = Number.isFinite(min) ? ` >= ${min}` : "";
  const upper = Number.isFinite(max) ? `${lower ? " and" : ""} <= ${max}` : "";
  throw new DdscError(
    "ARGUMENT_RANGE",
    `expected ${kind}${lower}${upper} for ${argument} but received ${received(value)}`,
    {
      argument,
    },
  );
}

/** As `checkNumber`, of a whole number. */
export function checkWhole(
  argument: string,
  value: unknown,
  min: number,
  max = Number.POSITIVE_INFINITY,
): number {
  return checkNumber(argument, value, { min, max, integer: true });
}

/** As `checkWhole`, of what random numbers are drawn with. */
export function checkSeed(value: unknown): number {
  return checkWhole("seed", value, 0, Number.MAX_SAFE_INTEGER);
}

/**
 * The error `ARGUMENT_TYPE` for an argument of the wrong kind, as callers without types may pass.
 *
 * @param expected what it should be, and where there is one to be had
 */
export function wrongType(argument: string, value: unknown, expected: string): DdscError {
  return new DdscError(
    "ARGUMENT_TYPE",
    `expected ${expected} for ${argument} but received ${received(value)}`,
    { argument },
  );
}

/** Throws `ARGUMENT_TYPE` unless options are an object, `ARGUMENT_NAME_UNKNOWN` for a name that is none of them. */
export function checkOptionNames(
  argument: string,
  options: unknown,
  known: Readonly<Record<string, true>>,
): void {
  if (typeof options !== "object" || options === null) {
    throw wrongType(argument, options, "an object of options");
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    throw new DdscError(
      "ARGUMENT_NAME_UNKNOWN",
      `${argument} have no "${name}"${didYouMean(name, Object.keys(known))}; they are ${Object.keys(known).join(", ")}`,
      { argument: name },
    );
  }
}

/** A value that is no good, so that the text "2" is told from the number 2. */
function received(value: unknown): string {
  return typeof value === "string" ? `the text ${JSON.stringify(value)}` : String(value);
}

/** Throws `ARGUMENT_CHOICE` unless `value` is one of `choices`. */
export function checkChoice<const T extends string>(
  argument: string,
  value: unknown,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new DdscError(
    "ARGUMENT_CHOICE",
    `expected one of ${choices.join(", ")} for ${argument} but received ${String(value)}`,
    { argument },
  );
}
