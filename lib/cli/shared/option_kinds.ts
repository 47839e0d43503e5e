import { checkChoice, checkNumber, DdscError } from "../../base/errors.js";
import { UsageError } from "./usage_error.js";

interface Described {
  /** One line; the default and the range are added to it. */
  readonly help: string;
  /** How the default reads in the help where it is worked out while running. */
  readonly defaultText?: string;
}

/** A number within [min, max]. */
export interface NumberOption extends Described {
  readonly kind: "number";
  readonly default?: number;
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  /** The value where the flag stands alone; left out, it needs one. */
  readonly bare?: number;
}

/** One of a few words. */
export interface ChoiceOption<C extends string = string> extends Described {
  readonly kind: "choice";
  readonly choices: readonly C[];
  readonly default?: C;
}

/** Free text: a name, a file, a folder. */
export interface TextOption extends Described {
  readonly kind: "text";
  /** What stands for the value in the help: FILE, DIR, NAME. */
  readonly placeholder: string;
  readonly default?: string;
  /** Given several times, the texts are joined with commas; else the last one counts. */
  readonly repeats?: boolean;
}

/** On or off; off unless given. */
export interface FlagOption extends Described {
  readonly kind: "flag";
}

/** Numbers, comma-separated on the command line, an array in a configuration file. */
export interface NumbersOption extends Described {
  readonly kind: "numbers";
  readonly default?: readonly number[];
  readonly min: number;
  readonly max: number;
}

export type OptionSpec = NumberOption | ChoiceOption | TextOption | FlagOption | NumbersOption;

/** The type of an option's value. */
export type OptionValue<S> = S extends { kind: "number" }
  ? number
  : S extends { kind: "choice"; choices: readonly (infer C)[] }
    ? C
    : S extends { kind: "text" }
      ? string
      : S extends { kind: "numbers" }
        ? readonly number[]
        : boolean;

/** `learningRate` as it is typed: `--learning-rate`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The flag with its placeholder, as commander and the help want it. */
export function flagWithValue(name: string, spec: OptionSpec): string {
  const placeholders = { number: "N", choice: "CHOICE", numbers: "N,N,..." } as const;
  if (spec.kind === "flag") return flagOf(name);
  if (spec.kind === "number" && spec.bare !== undefined) return `${flagOf(name)} [N]`;
  return `${flagOf(name)} <${spec.kind === "text" ? spec.placeholder : placeholders[spec.kind]}>`;
}

/** Help with choices, default and range. */
export function describeOption(spec: OptionSpec): string {
  const notes: string[] = [];
  if (spec.kind === "choice") notes.push(spec.choices.join(" | "));
  const fallback = spec.kind === "flag" ? undefined : spec.default;
  if (spec.defaultText !== undefined) notes.push(`default: ${spec.defaultText}`);
  else if (fallback !== undefined) notes.push(`default: ${String(fallback)}`);
  if (spec.kind === "number" || spec.kind === "numbers") notes.push(describeRange(spec));
  return notes.length === 0 ? spec.help : `${spec.help} (${notes.join("; ")})`;
}

function describeRange({ min, max }: { readonly min: number; readonly max: number }): string {
  return Number.isFinite(max) ? `${min} to ${max}` : `at least ${min}`;
}

/** Reads an option's value as typed on the command line. Throws a UsageError. */
export function parseOption(name: string, spec: OptionSpec, text: string): OptionValue<OptionSpec> {
  if (spec.kind === "number") return checkOption(name, spec, numberFrom(text));
  if (spec.kind === "numbers") return checkOption(name, spec, text.split(",").map(numberFrom));
  return checkOption(name, spec, text);
}

/** The number that a word writes; the word itself where it writes none, for the error to quote. An empty word is not zero. */
function numberFrom(text: string): number | string {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isNaN(number) ? text : number;
}

/**
 * Checks a value's type and range; `source` is where it stands when that is not the command line.
 * Throws a UsageError that names the option, what was expected and what was received.
 */
export function checkOption(
  name: string,
  spec: OptionSpec,
  value: unknown,
  source?: string,
): OptionValue<OptionSpec> {
  const label = source === undefined ? flagOf(name) : `${name} in ${source}`;
  try {
    switch (spec.kind) {
      case "number":
        return checkNumber(label, value, spec);
      case "choice":
        return checkChoice(label, value, spec.choices);
      case "numbers":
        return checkNumbers(label, spec, value);
      case "text":
        if (typeof value === "string" && value !== "") return value;
        throw new UsageError(`expected ${spec.placeholder} for ${label} but received ${shown(value)}`);
      case "flag":
        if (typeof value === "boolean") return value;
        throw new UsageError(`expected true or false for ${label} but received ${shown(value)}`);
    }
  } catch (error) {
    throw error instanceof DdscError ? UsageError.from(error) : error;
  }
}

function checkNumbers(label: string, spec: NumbersOption, value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new UsageError(`expected a list of numbers for ${label} but received ${shown(value)}`);
  }
  return value.map((entry: unknown) => checkNumber(label, entry, spec));
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
