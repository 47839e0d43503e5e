import type { Table, Vector } from "apache-arrow";
import { DdscError } from "../../base/errors.js";
import { didYouMean } from "../../base/suggest.js";
import type { MetadataColumn } from "../sources/cells.js";
import { joinRows, type RowSpan, rowRange, rowSpans } from "../sources/parts.js";
import type { CellSource } from "../sources/source.js";
import {
  type ColumnName,
  type Condition,
  parseWhere,
  type WhereOperator,
  type WhereValue,
  whereError,
} from "./where_syntax.js";

/** Whether a condition holds for a cell; unknown where a value that it needs is missing. */
type Truth = 0 | 1 | 2;
const FALSE = 0;
const TRUE = 1;
const UNKNOWN = 2;

const KIND_OF = { string: "text", number: "number", boolean: "boolean" } as const;
const IN_WORDS = { text: "text", number: "numbers", boolean: "true or false" } as const;

/**
 * A condition on the metadata of cells, such as `drug = 'DMSO' and n_genes > 200`: see `parseWhere` for the language.
 *
 * A comparison with a missing value (or NaN) is neither true nor false, and so is what it decides, as in SQL: a cell is
 * taken only where the whole is true. `is null` and `is not null` ask for missing values themselves.
 */
export class WhereFilter {
  /** The text as given. */
  readonly text: string;
  /** Names of the columns it needs, each once. */
  readonly columns: readonly string[];
  readonly #condition: Condition;

  /**
   * Throws `ARGUMENT_WHERE` where the text cannot be read or compares a column with a value of another kind, and
   * `DATA_MISSING_COLUMN` for a column that the source does not have.
   */
  constructor(text: string, source: Pick<CellSource, "name" | "metadataColumns">) {
    this.text = text;
    this.#condition = parseWhere(text);
    const known = new Map(source.metadataColumns.map((column) => [column.name, column]));
    const named = new Map<string, ColumnName>();
    checkCondition(this.#condition, (column, values, ordered) => {
      named.set(column.name, column);
      checkTest(text, column, values, ordered, known.get(column.name) ?? missing(text, column, source));
    });
    this.columns = [...named.keys()];
  }

  /** Places (row numbers of the table) where the condition is true, ascending. The table has the columns of `columns`. */
  places(table: Table): Int32Array {
    const truths = evaluate(this.#condition, table);
    return Int32Array.from(truths.keys()).filter((place) => truths[place] === TRUE);
  }
}

/** Row numbers of the cells for which a condition holds, ascending; reads the metadata part by part. */
export async function rowsWhere(source: CellSource, where: string): Promise<Int32Array> {
  const filter = new WhereFilter(where, source);
  const found: Int32Array[] = [];
  for (const span of rowSpans(source.partBounds)) found.push(await filteredRows(source, filter, span));
  return joinRows(found);
}

/** Of the rows first .. end - 1, those for which the condition holds. */
export async function filteredRows(
  source: CellSource,
  filter: WhereFilter,
  { first, end }: RowSpan,
): Promise<Int32Array> {
  const table = await source.metadata({ columns: filter.columns, rows: rowRange(first, end) });
  return filter.places(table).map((place) => first + place);
}

/** Calls `check` for every test of a condition with the values it compares, and whether by order; none for `is null`. */
function checkCondition(
  condition: Condition,
  check: (column: ColumnName, values: readonly WhereValue[], ordered: boolean) => void,
): void {
  switch (condition.kind) {
    case "compare":
      check(condition.column, [condition.value], condition.operator !== "=" && condition.operator !== "!=");
      break;
    case "in":
      check(condition.column, condition.values, false);
      break;
    case "null":
      check(condition.column, [], false);
      break;
    case "not":
      checkCondition(condition.of, check);
      break;
    default:
      for (const part of condition.of) checkCondition(part, check);
  }
}

function checkTest(
  text: string,
  { name, at }: ColumnName,
  values: readonly WhereValue[],
  ordered: boolean,
  { kind }: MetadataColumn,
): void {
  if (ordered && kind !== "number") {
    throw whereError(
      text,
      at,
      `"${name}" holds ${IN_WORDS[kind]}, which have no order: compare it with =, != or in`,
    );
  }
  const wrong = values.find((value) => KIND_OF[typeof value as keyof typeof KIND_OF] !== kind);
  if (wrong === undefined) return;
  const shown = typeof wrong === "string" ? `'${wrong}'` : String(wrong);
  throw whereError(text, at, `"${name}" holds ${IN_WORDS[kind]} and is compared with ${shown}`);
}

function missing(
  text: string,
  { name, at }: ColumnName,
  source: Pick<CellSource, "name" | "metadataColumns">,
): never {
  const known = source.metadataColumns.map((column) => column.name);
  const have = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
  throw new DdscError(
    "DATA_MISSING_COLUMN",
    `${source.name}: there is no metadata column "${name}"${didYouMean(name, known)}, at character ${at} of: ${text}; ${have}`,
    { file: source.name, argument: "where" },
  );
}

function evaluate(condition: Condition, table: Table): Uint8Array {
  switch (condition.kind) {
    case "compare":
      return test(condition.column, table, comparison(condition.operator, condition.value));
    case "in": {
      const values = new Set<unknown>(condition.values);
      return test(condition.column, table, (value) => values.has(value) !== condition.negated);
    }
    case "null": {
      const present = test(condition.column, table, () => true);
      return present.map((truth) => ((truth === UNKNOWN) !== condition.negated ? TRUE : FALSE));
    }
    case "not":
      return evaluate(condition.of, table).map(not);
    default: {
      const [first, ...others] = condition.of.map((part) => evaluate(part, table));
      const combine = condition.kind === "and" ? both : either;
      return others.reduce(
        (sofar, truths) =>
          sofar.map((truth, place) => combine(truth as Truth, (truths[place] ?? UNKNOWN) as Truth)),
        first ?? new Uint8Array(table.numRows),
      );
    }
  }
}

function not(truth: number): Truth {
  if (truth === UNKNOWN) return UNKNOWN;
  return truth === TRUE ? FALSE : TRUE;
}

function both(a: Truth, b: Truth): Truth {
  if (a === FALSE || b === FALSE) return FALSE;
  return a === UNKNOWN || b === UNKNOWN ? UNKNOWN : TRUE;
}

function either(a: Truth, b: Truth): Truth {
  return not(both(not(a), not(b)));
}

type Value = string | number | boolean;

function comparison(operator: WhereOperator, value: WhereValue): (found: Value) => boolean {
  switch (operator) {
    case "=":
      return (found) => found === value;
    case "!=":
      return (found) => found !== value;
    case "<":
      return (found) => found < value;
    case "<=":
      return (found) => found <= value;
    case ">":
      return (found) => found > value;
    case ">=":
      return (found) => found >= value;
  }
}

function columnOf({ name }: ColumnName, table: Table): Vector {
  const vector = table.getChild(name);
  if (vector !== null) return vector;
  throw new DdscError("DATA_MISSING_COLUMN", `there is no metadata column "${name}"`, { argument: "where" });
}

/** Whether each value of a column passes, unknown where it is missing; text of a dictionary is looked at once a word. */
function test(column: ColumnName, table: Table, passes: (value: Value) => boolean): Uint8Array {
  const vector = columnOf(column, table);
  const truths = new Uint8Array(vector.length);
  let start = 0;
  for (const chunk of vector.data) {
    if (chunk.dictionary !== undefined) {
      const words = Uint8Array.from(chunk.dictionary, (word: unknown) => truthOf(word, passes));
      const codes: ArrayLike<number> = chunk.values;
      for (let i = 0; i < chunk.length; i++) {
        truths[start + i] = chunk.getValid(i) ? (words[codes[i] ?? 0] ?? UNKNOWN) : UNKNOWN;
      }
    } else {
      for (let i = 0; i < chunk.length; i++) truths[start + i] = truthOf(vector.get(start + i), passes);
    }
    start += chunk.length;
  }
  return truths;
}

function truthOf(found: unknown, passes: (value: Value) => boolean): Truth {
  const value = typeof found === "bigint" ? Number(found) : found;
  const present =
    typeof value === "string" ||
    typeof value === "boolean" ||
    (typeof value === "number" && !Number.isNaN(value));
  if (!present) return UNKNOWN;
  return passes(value) ? TRUE : FALSE;
}
