/** Tables of cells of which a few rows at a time are in memory. */
import { type Column, columnText, type Frame, type FrameRows, takeRows } from "./frame.js";
import { everyText, fitting } from "./join_frames.js";
import { rowRange } from "./parts.js";

/** Rows of a table that are read, or written, at a time. */
export const ROWS_AT_ONCE = 1 << 14;

/** A table of cells whose rows come some at a time, so that no more than these are in memory. */
export interface StreamedFrame {
  /** Number of rows. */
  readonly length: number;
  /** Name of the index column; "_index" if it has none. */
  readonly indexName: string;
  /** What every column is: one without rows, of the type, with the categories, and with `missing` where values may be missing. */
  readonly columns: ReadonlyMap<string, Column>;
  /**
   * Rows from `first` up to `end`, every column as `columns` says. Who writes the table asks for rows in order, each once, when the rows of
   * the matrices have been given for these cells; before that, where text may be missing, for all rows once or twice.
   */
  rows(first: number, end: number): FrameRows | Promise<FrameRows>;
}

/** A table of cells of which any rows can be read. */
export interface CellFrame extends StreamedFrame {
  /** These rows, in the order given. */
  at(rows: Int32Array): FrameRows | Promise<FrameRows>;
}

/** Reads rows of a table, in the order given. */
type ReadRows = CellFrame["at"];

const NO_ROWS = new Int32Array(0);

/** Columns without rows. */
export function withoutRows(columns: Frame["columns"]): Frame["columns"] {
  return new Map(Array.from(columns, ([name, column]) => [name, takeRows(column, NO_ROWS)]));
}

/** A table of cells whose columns are known. */
export function cellFrame(
  { length, indexName, columns }: Omit<StreamedFrame, "rows">,
  at: ReadRows,
): CellFrame {
  return { length, indexName, columns, at, rows: (first, end) => at(rowRange(first, end)) };
}

/** A table in memory as one whose rows come some at a time. */
export function heldFrame({ index, indexName, columns }: Frame): CellFrame {
  return cellFrame({ length: index.length, indexName, columns: withoutRows(columns) }, (rows) => ({
    index: Array.from(rows, (row) => index[row] ?? ""),
    columns: new Map(Array.from(columns, ([name, column]) => [name, takeRows(column, rows)])),
  }));
}

/** A table of cells whose columns only the values tell, each time those of the rows read: see `columnsOfAll`. Reads all rows once. */
export async function foundFrame(length: number, indexName: string, read: ReadRows): Promise<CellFrame> {
  const columns = await columnsOfAll(
    length,
    async (first, end) => (await read(rowRange(first, end))).columns,
  );
  const fitted = fitting(columns);
  return cellFrame({ length, indexName, columns }, async (rows) => fitted(await read(rows)));
}

/**
 * What columns are whose kind is known of any rows: text has the categories of all rows, sorted, and values may be missing where some are.
 * Memory: some rows, and what differs of the text.
 */
async function columnsOfAll(
  length: number,
  read: (first: number, end: number) => Promise<Frame["columns"]>,
): Promise<Frame["columns"]> {
  const found = new Map<
    string,
    { readonly column: Column; readonly labels: Set<string>; incomplete: boolean }
  >();
  for (let first = 0; first === 0 || first < length; first += ROWS_AT_ONCE) {
    for (const [name, column] of await read(first, Math.min(length, first + ROWS_AT_ONCE))) {
      const own = found.get(name) ?? {
        column: takeRows(column, NO_ROWS),
        labels: new Set<string>(),
        incomplete: false,
      };
      found.set(name, own);
      if (column.kind !== "categories") own.incomplete ||= column.missing?.includes(1) === true;
      else
        for (const code of new Set(column.codes))
          if (code >= 0) own.labels.add(columnText(column.categories, code) ?? "");
    }
  }
  return new Map(
    Array.from(found, ([name, { column, labels, incomplete }]): [string, Column] => {
      if (column.kind === "categories")
        return [name, { ...column, categories: { kind: "strings", values: [...labels].sort() } }];
      const { missing: _, ...complete } = column;
      return [name, incomplete ? { ...complete, missing: new Uint8Array(0) } : complete];
    }),
  );
}

/**
 * The table with text as categories where some of it is missing: AnnData before 0.11 knows missing text only in those. Where text may be
 * missing, all rows are read once to tell whether any is, and then once more for the categories.
 */
export async function withoutMissingText(frame: StreamedFrame): Promise<StreamedFrame> {
  const { length, indexName } = frame;
  const find = (names: readonly string[], as: (column: Column) => Column) =>
    columnsOfAll(length, async (first, end) => {
      const { columns } = await frame.rows(first, end);
      return new Map(
        [...columns].flatMap(([name, column]) => (names.includes(name) ? [[name, as(column)]] : [])),
      );
    });
  const names = [...frame.columns].flatMap(([name, column]) =>
    column.kind === "strings" && isIncomplete(column) ? [name] : [],
  );
  if (names.length === 0) return frame;
  const texts = await find(names, (column) => column);
  const incomplete = names.filter((name) => isIncomplete(texts.get(name)));
  const labelled =
    incomplete.length === 0
      ? []
      : await find(incomplete, (column) => (column.kind === "categories" ? column : everyText(column)));
  const columns = new Map([...frame.columns, ...texts, ...labelled]);
  const fitted = fitting(columns);
  return { length, indexName, columns, rows: async (first, end) => fitted(await frame.rows(first, end)) };
}

function isIncomplete(column: Column | undefined): boolean {
  return column !== undefined && column.kind !== "categories" && column.missing !== undefined;
}
