import type { Table } from "apache-arrow";
import type { Column } from "../sources/frame.js";

/** Columns as `CellSource.metadata` gives them: see `columnsTable`. Arrow is loaded at first use: it takes a tenth of a second. */
export async function arrowTable(columns: ReadonlyMap<string, Column>): Promise<Table> {
  const { columnsTable } = await import("./frame_table.js");
  return columnsTable(columns);
}
