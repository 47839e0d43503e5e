import type { Table } from "apache-arrow";
import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { didYouMean } from "../base/suggest.js";
import { checkPeers, type Peers, packArray, shareOutItems, unpackArray } from "../data/open/share_out.js";
import type { MetadataColumn } from "../data/sources/cells.js";
import { type RowSpan, rowRange, rowSpans } from "../data/sources/parts.js";
import type { CellSource } from "../data/sources/source.js";
import type { Condition } from "./condition.js";

/** Cells whose metadata are read at a time. */
const SPAN_CELLS = 65_536;
/** So many of these a rank, and they are told to the others: a message of some megabytes a column. */
const ROUND = 8;
/** A column of more values names cells rather than conditions. */
const MOST_LABELS = 10_000;
/** A label of fewer cells is told of: nothing can be learnt about it. */
const FEW_CELLS = 2;

/** A condition as asked for: the column, and how it is to be taken. */
interface Wanted {
  readonly name: string;
  readonly kind: "labels" | "number";
  readonly scale: "linear" | "log";
}

/** What `learnConditions` gives. */
export interface LearntConditions {
  readonly conditions: readonly Condition[];
  /** What a user should know about them. */
  readonly notes: readonly string[];
}

/**
 * Reads what conditions there are from columns of cell metadata. A specification is the name of a column, which is taken as
 * labels where it holds text or booleans and as a number where it holds numbers, with an ending that says otherwise: `:labels`
 * for numbers that are names (clusters, batches), `:number`, and `:log` for numbers such as doses, of which the model is told
 * log(1 + value). Labels and scales are those of all cells of the source.
 *
 * @param peers processes that do so together, each making the same call: what `joinCluster` gave. Each reads a share of the cells, and all
 *   learn the same bits as one process. Default: this one reads all
 *
 * Throws `DATA_MISSING_COLUMN` with near names, `CONDITION_SPECIFICATION` for an ending that is none, a column named twice, or
 * text that is to be a number, `CONDITION_LABELS` for a column without values, of one value, or of more than 10,000.
 */
export async function learnConditions(
  source: CellSource,
  specifications: readonly string[],
  peers?: Peers,
): Promise<LearntConditions> {
  checkKind("source", source, "cells");
  checkKind("specifications", specifications, "texts");
  const together = checkPeers(peers);
  const wanted = specifications.map((text) => wantedFrom(text, source));
  const twice = wanted.find(({ name }, i) => wanted.findIndex((other) => other.name === name) < i);
  if (twice !== undefined) throw badSpecification(`the condition ${twice.name} is given twice; give it once`);
  if (wanted.length === 0) return { conditions: [], notes: [] };
  const seen = wanted.map(() => new Seen());
  const names = wanted.map(({ name }) => name);
  const look = async (table: Table) =>
    wanted.map(({ name, kind }) => new Seen().add(table.getChild(name) ?? [], kind).words());
  for await (const told of metadataOf(source, names, look, together))
    for (const [i, words] of told.entries()) seen[i]?.join(words);
  const notes: string[] = [];
  const conditions = wanted.map((want, i) => (seen[i] ?? new Seen()).condition(want, source, notes));
  return { conditions, notes };
}

/** What `look` finds, as JSON carries it, in the metadata columns of all cells, some at a time and in order; each of the peers looks at a share. */
export async function* metadataOf<R>(
  source: CellSource,
  columns: readonly string[],
  look: (table: Table, first: number) => Promise<R>,
  peers: Peers,
): AsyncGenerator<R, void, undefined> {
  const spans = [...rowSpans(source.partBounds, SPAN_CELLS)];
  const work = async ({ first, end }: RowSpan) =>
    look(await source.metadata({ columns, rows: rowRange(first, end) }), first);
  for await (const told of shareOutItems(spans, work, peers, { round: ROUND, atOnce: 1 }))
    for (const found of told) yield* found;
}

/** Whether a cell has no value in a column: tables of numbers write that as NaN. */
export function isMissing(value: unknown): boolean {
  return value === null || value === undefined || Number.isNaN(value);
}

function wantedFrom(text: string, source: CellSource): Wanted {
  const known = source.metadataColumns;
  // A column may have a colon in its name.
  const whole = known.find(({ name }) => name === text);
  const colon = text.lastIndexOf(":");
  const name = whole !== undefined || colon < 0 ? text : text.slice(0, colon);
  const ending = whole !== undefined || colon < 0 ? undefined : text.slice(colon + 1);
  const column = whole ?? known.find((other) => other.name === name);
  if (column === undefined) {
    const names = known.map((other) => other.name);
    throw new DdscError(
      "DATA_MISSING_COLUMN",
      `${source.name}: there is no metadata column "${name}"${didYouMean(name, names)} to condition on; ` +
        (names.length === 0 ? "it has none" : `it has ${names.join(", ")}`),
      { file: source.name, argument: "condition" },
    );
  }
  return { name, ...kindFrom(ending, column, text) };
}

function kindFrom(
  ending: string | undefined,
  { kind }: MetadataColumn,
  text: string,
): Pick<Wanted, "kind" | "scale"> {
  if (ending === "labels") return { kind: "labels", scale: "linear" };
  if (ending !== undefined && ending !== "number" && ending !== "log") {
    throw badSpecification(
      `condition ${text}: ":${ending}" is none of :labels, :number and :log; take one of them, or leave it out`,
    );
  }
  if (ending === undefined && kind !== "number") return { kind: "labels", scale: "linear" };
  if (kind !== "number") {
    throw badSpecification(`condition ${text}: the column holds ${kind}, no numbers; leave ":${ending}" out`);
  }
  return { kind: "number", scale: ending === "log" ? "log" : "linear" };
}

/** Values of a column in some cells, for JSON. */
interface SeenWords {
  readonly count: number;
  /** Cells by label, of no more labels than it takes to see that they are too many. */
  readonly cellsOf: readonly (readonly [string, number])[];
  /** Sums and sums of squares: JSON has no infinity. */
  readonly sums: string;
  readonly bad: string | undefined;
}

/** Values of a column so far. */
class Seen {
  readonly #cellsOf = new Map<string, number>();
  #count = 0;
  /** Sum and sum of squares of the values, and the same of their logarithms. */
  readonly #sums = new Float64Array(4);
  #bad: number | undefined;

  words(): SeenWords {
    const cellsOf = [...this.#cellsOf].slice(0, MOST_LABELS + 1);
    const bad = this.#bad === undefined ? undefined : String(this.#bad);
    return { count: this.#count, cellsOf, sums: packArray(this.#sums), bad };
  }

  /** Adds the values of the cells after these. Sums are added span by span, whoever read them: the same bits for any number of processes. */
  join({ count, cellsOf, sums, bad }: SeenWords): void {
    this.#count += count;
    for (const [label, cells] of cellsOf) this.#cellsOf.set(label, (this.#cellsOf.get(label) ?? 0) + cells);
    for (const [i, sum] of new Float64Array(unpackArray(sums)).entries())
      this.#sums[i] = (this.#sums[i] ?? 0) + sum;
    if (bad !== undefined) this.#bad ??= Number(bad);
  }

  add(values: Iterable<unknown>, kind: Wanted["kind"]): this {
    for (const value of values) {
      if (isMissing(value)) continue;
      this.#count++;
      if (kind === "labels") {
        const label = String(value);
        this.#cellsOf.set(label, (this.#cellsOf.get(label) ?? 0) + 1);
        continue;
      }
      const number = Number(value);
      if (!(number > -1)) this.#bad ??= number;
      const log = Math.log1p(number);
      for (const [i, term] of [number, number * number, log, log * log].entries())
        this.#sums[i] = (this.#sums[i] ?? 0) + term;
    }
    return this;
  }

  condition({ name, kind, scale }: Wanted, source: CellSource, notes: string[]): Condition {
    const labels = [...this.#cellsOf.keys()].sort();
    if (this.#count === 0) throw badLabels(source, `column "${name}" has no values to condition on`);
    if (kind === "number") return this.#number({ name, scale }, source);
    if (labels.length > MOST_LABELS) {
      throw badLabels(
        source,
        `column "${name}" has more than ${MOST_LABELS} values, so it names cells; condition on a column that several cells share`,
      );
    }
    if (labels.length === 1) {
      throw badLabels(
        source,
        `column "${name}" has the value "${labels[0]}" alone; condition on a column that tells cells apart`,
      );
    }
    const rare = labels.filter((label) => (this.#cellsOf.get(label) ?? 0) < FEW_CELLS);
    if (rare.length > 0) {
      const some = rare.slice(0, 3).map((label) => `"${label}"`);
      notes.push(
        `condition ${name}: ${rare.length === 1 ? `${some[0]} has one cell` : `${rare.length} labels have one cell each (${some.join(", ")}${rare.length > 3 ? ", ..." : ""})`}: nothing can be learnt about it; join it with another, or take such cells out of the file (ddsc convert --where)`,
      );
    }
    return { kind: "labels", name, labels };
  }

  #number({ name, scale }: Pick<Wanted, "name" | "scale">, source: CellSource): Condition {
    if (scale === "log" && this.#bad !== undefined) {
      throw badLabels(
        source,
        `column "${name}" holds ${this.#bad}, of which log(1 + value) cannot be taken; condition on ${name}:number`,
      );
    }
    const [sum = 0, squares = 0] = this.#sums.subarray(scale === "log" ? 2 : 0);
    const mean = sum / this.#count;
    const variance = squares / this.#count - mean * mean;
    if (!Number.isFinite(variance)) {
      throw badLabels(source, `column "${name}" holds numbers that are not finite; leave such cells out`);
    }
    if (!(variance > 1e-12 * (1 + mean * mean))) {
      throw badLabels(
        source,
        `column "${name}" holds one number alone; condition on a column that tells cells apart`,
      );
    }
    return { kind: "number", name, scale, mean, deviation: Math.sqrt(variance) };
  }
}

function badSpecification(message: string): DdscError {
  return new DdscError("CONDITION_SPECIFICATION", message, { argument: "condition" });
}

function badLabels(source: CellSource, problem: string): DdscError {
  return new DdscError("CONDITION_LABELS", `${source.name}: ${problem}`, {
    file: source.name,
    argument: "condition",
  });
}
