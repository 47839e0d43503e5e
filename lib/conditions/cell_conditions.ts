import type { Table } from "apache-arrow";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkChoice, checkNumber, DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { checkPeers, noPeers, type Peers, packArray, unpackArray } from "../data/open/share_out.js";
import type { CellSource } from "../data/sources/source.js";
import { type Condition, labelNumber, scaledNumber } from "./condition.js";
import { isMissing, metadataOf } from "./learn.js";

/** What the network is told of some cells; see `NativeCountRows`. */
export interface ToldConditions {
  /** Label + 1, or 0 for none, [cells, label conditions]. */
  readonly labels: Int32Array;
  /** In standard units, or NaN for none, [cells, number conditions]. */
  readonly numbers: Float32Array;
}

/** Conditions of all cells of a source, by row: 4 bytes a cell and condition. Cells without a value are told none. */
export class CellConditions {
  readonly conditions: readonly Condition[];
  /** What the cells are not told, where that was asked for instead of an error. */
  readonly notes: readonly string[];
  /** By condition, [rows]: label + 1 and 0, or numbers and NaN. */
  readonly #columns: readonly (Int32Array | Float32Array)[];

  private constructor(
    conditions: readonly Condition[],
    columns: readonly (Int32Array | Float32Array)[],
    notes: readonly string[] = [],
  ) {
    this.conditions = conditions;
    this.#columns = columns;
    this.notes = notes;
  }

  /** Cells that are told nothing. */
  static none(conditions: readonly Condition[]): CellConditions {
    checkKind("conditions", conditions, "conditions");
    return new CellConditions(
      conditions,
      conditions.map(() => new Int32Array(0)),
    );
  }

  /**
   * Reads the conditions' columns. Throws `DATA_MISSING_COLUMN`, and `CONDITION_LABEL_UNKNOWN`, `CONDITION_NUMBER` for a value
   * that the model cannot be told, with its file and row.
   *
   * @param options.unknown "untold": of a column that is missing, and a value that the model cannot be told, cells are told nothing,
   *   and `notes` say so; default "refuse", as above
   * @param options.peers processes that do so together, each making the same call: each reads a share of the cells where values are
   *   refused. Default: this one reads all
   */
  static async read(
    source: CellSource,
    conditions: readonly Condition[],
    options: { readonly unknown?: "refuse" | "untold"; readonly peers?: Peers } = {},
  ): Promise<CellConditions> {
    checkKind("source", source, "cells");
    checkKind("conditions", conditions, "conditions");
    checkOptions(options);
    const refuses = checkChoice("unknown", options.unknown ?? "refuse", ["refuse", "untold"]) === "refuse";
    const untold = refuses ? undefined : new UntoldValues();
    // Who notes what is untold has to see it.
    const peers = refuses ? checkPeers(options.peers) : noPeers;
    const columns = conditions.map(({ kind }) =>
      kind === "labels"
        ? new Int32Array(source.cellCount)
        : new Float32Array(source.cellCount).fill(Number.NaN),
    );
    const known = new Set(source.metadataColumns.map(({ name }) => name));
    const names = conditions.map(({ name }) => name).filter((name) => refuses || known.has(name));
    if (names.length > 0) {
      const look = async (table: Table, first: number) => {
        const end = first + table.numRows;
        const parts = columns.map((column) => column.subarray(first, end));
        for (const [i, condition] of conditions.entries()) {
          const values: Iterable<unknown> = table.getChild(condition.name) ?? [];
          const into = parts[i] ?? new Int32Array(0);
          tell(condition, values, into, { file: source.name, row: first, untold });
        }
        return { first, parts: peers.world === 1 ? [] : parts.map(packArray) };
      };
      for await (const { first, parts } of metadataOf(source, names, look, peers)) {
        for (const [i, part] of parts.entries()) {
          const column = columns[i];
          const bytes = unpackArray(part);
          column?.set(column instanceof Int32Array ? new Int32Array(bytes) : new Float32Array(bytes), first);
        }
      }
    }
    const missing = conditions.map(({ name }) => name).filter((name) => !names.includes(name));
    const notes = missing.map(
      (name) => `there is no column "${name}", which the model knows: it is told nothing of it`,
    );
    return new CellConditions(conditions, columns, [...notes, ...(untold?.notes() ?? [])]);
  }

  /**
   * What the network is told of the cells at these rows.
   * @param drop each condition of a cell is left out with this chance, by word of the cell's Purpose.drop stream
   */
  of(
    rows: Float64Array,
    drop?: { readonly chance: number; readonly seed: number; readonly step: number },
  ): ToldConditions {
    checkKind("rows", rows, "doubles");
    if (drop !== undefined) {
      checkOptions(drop);
      checkNumber("chance", drop.chance, { min: 0, max: 1 });
    }
    const kinds = this.conditions.map(({ kind }) => kind);
    const labelCount = kinds.filter((kind) => kind === "labels").length;
    const labels = new Int32Array(rows.length * labelCount);
    const numbers = new Float32Array(rows.length * (kinds.length - labelCount));
    let label = 0;
    let number = 0;
    for (const row of rows) {
      const words =
        drop === undefined || drop.chance <= 0
          ? undefined
          : new RandomStream(drop.seed, Purpose.drop, drop.step, row);
      for (const [i, kind] of kinds.entries()) {
        const dropped = words !== undefined && drop !== undefined && happens(words, 1 + i, drop.chance);
        const value = this.#columns[i]?.[row];
        if (kind === "labels") labels[label++] = dropped ? 0 : (value ?? 0);
        else numbers[number++] = dropped ? Number.NaN : (value ?? Number.NaN);
      }
    }
    return { labels, numbers };
  }
}

/** Whether something of this chance happens, by a stream's word at a place of its own (0 is the whole total's). */
export function happens(stream: RandomStream, place: number, chance: number): boolean {
  return stream.wordAt(place) < chance * 2 ** 32;
}

/** Values that cells are not told, as the model does not know them. */
class UntoldValues {
  /** Cells by condition and value. */
  readonly #cells = new Map<string, Map<string, number>>();

  add(condition: string, value: unknown): void {
    const values = this.#cells.get(condition) ?? new Map<string, number>();
    this.#cells.set(condition, values);
    // Each number of a column may be another.
    const name = values.has(String(value)) || values.size < MOST_NAMED ? String(value) : OTHERS;
    values.set(name, (values.get(name) ?? 0) + 1);
  }

  notes(): string[] {
    return Array.from(this.#cells, ([condition, values]) => {
      const cells = [...values.values()].reduce((sum, count) => sum + count, 0);
      const named = [...values.keys()].map((value) => (value === OTHERS ? value : `"${value}"`)).join(", ");
      return `the model has not learnt ${condition} ${named} of ${cells} ${cells === 1 ? "cell" : "cells"}: it is told nothing of it there`;
    });
  }
}

/** Values that a note names. */
const MOST_NAMED = 5;
const OTHERS = "and others";

function tell(
  condition: Condition,
  values: Iterable<unknown>,
  into: Int32Array | Float32Array,
  first: { readonly file: string; readonly row: number; readonly untold: UntoldValues | undefined },
): void {
  const known = new Map<unknown, number | DdscError>();
  let row = -1;
  for (const value of values) {
    row++;
    if (isMissing(value)) continue;
    let told = known.get(value);
    if (told === undefined) {
      told = toldFor(condition, value, { file: first.file, row: first.row + row });
      if (known.size < 65_536) known.set(value, told);
    }
    if (typeof told === "number") into[row] = told;
    else if (first.untold === undefined) throw told;
    else first.untold.add(condition.name, value);
  }
}

/** What the network is told for a value, or why it cannot be. */
function toldFor(
  condition: Condition,
  value: unknown,
  { file, row }: { readonly file: string; readonly row: number },
): number | DdscError {
  try {
    return condition.kind === "labels"
      ? labelNumber(condition, String(value))
      : scaledNumber(condition, typeof value === "string" ? Number.NaN : Number(value));
  } catch (error) {
    if (!(error instanceof DdscError)) throw error;
    const text =
      typeof value === "string" && condition.kind === "number" ? `"${value}" is no number` : undefined;
    const problem = text === undefined ? error.text : `${condition.name}: ${text}; give numbers`;
    return new DdscError(error.code, `${file}: row ${row}: ${problem}`, { ...error.place, file, row });
  }
}
