import { DdscError } from "../base/errors.js";
import { didYouMean } from "../base/suggest.js";

/** A condition whose values are names: a type, a donor, a drug. */
export interface LabelCondition {
  readonly kind: "labels";
  /** Column of cell metadata. */
  readonly name: string;
  /** The values that the model knows, sorted. */
  readonly labels: readonly string[];
}

/** A condition that is a number: a dose, an age. */
export interface NumberCondition {
  readonly kind: "number";
  /** Column of cell metadata. */
  readonly name: string;
  /** "log": the model is told log(1 + value). */
  readonly scale: "linear" | "log";
  /** Mean and standard deviation over the training cells of what the model is told, which it sees in standard units. */
  readonly mean: number;
  readonly deviation: number;
}

/** Something that a cell is given to be, by a column of its metadata; plain JSON. */
export type Condition = LabelCondition | NumberCondition;

/** Number of labels of each condition, 0 for numbers: how the network sees them. */
export function conditionSizes(conditions: readonly Condition[]): number[] {
  return conditions.map((condition) => (condition.kind === "labels" ? condition.labels.length : 0));
}

/** What the network is told for a label: its number + 1. Throws `CONDITION_LABEL_UNKNOWN` with near names. */
export function labelNumber({ name, labels }: LabelCondition, label: string): number {
  const place = labels.indexOf(label);
  if (place >= 0) return place + 1;
  const some = labels.slice(0, 10).join(", ");
  throw new DdscError(
    "CONDITION_LABEL_UNKNOWN",
    `the model has not learnt ${name} "${label}"${didYouMean(label, labels)}; it knows ${some}${labels.length > 10 ? ", ..." : ""}`,
    { argument: name },
  );
}

/** What the network is told for a number. Throws `CONDITION_NUMBER` for one that the scale has no place for. */
export function scaledNumber({ name, scale, mean, deviation }: NumberCondition, value: number): number {
  const scaled = scale === "log" ? Math.log1p(value) : value;
  if (Number.isFinite(scaled)) return (scaled - mean) / deviation;
  throw new DdscError(
    "CONDITION_NUMBER",
    `${name}: ${value} has no place on a ${scale} scale; give a finite number${scale === "log" ? " above -1" : ""}`,
    { argument: name },
  );
}

/** The conditions that JSON describes. Throws `CONDITION_FORMAT` for anything else. */
export function conditionsFrom(json: unknown): readonly Condition[] {
  if (!Array.isArray(json)) throw badFormat();
  return json.map((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) throw badFormat();
    const { kind, name, labels, scale, mean, deviation } = entry as Record<string, unknown>;
    if (typeof name !== "string") throw badFormat();
    if (kind === "labels" && Array.isArray(labels) && labels.every((label) => typeof label === "string")) {
      return { kind, name, labels };
    }
    const isNumber = kind === "number" && (scale === "linear" || scale === "log") && typeof mean === "number";
    if (isNumber && typeof deviation === "number" && deviation > 0) {
      return { kind, name, scale, mean, deviation };
    }
    throw badFormat();
  });
}

function badFormat(): DdscError {
  return new DdscError(
    "CONDITION_FORMAT",
    "the conditions of the model are not as they were saved; the file is damaged or was changed by hand: restore it",
  );
}
