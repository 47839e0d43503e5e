import { describe, expect, it } from "vitest";
import { RowGroups } from "../../../lib/data/parquet/row_groups.js";

describe("row groups as numbers", () => {
  it.each([
    ["small", 1],
    ["of more than 255", 300],
    ["of more than 4 GB", 2 ** 33 + 1],
    ["of more than 2^52", 2 ** 52 + 3],
    ["below 0", -1],
  ])("give back what was put in, %s", (_, number) => {
    const chunk = (i: number) => ({ codec: i, values: i + 1, offset: i + 2, bytes: i + 3 });
    const groups = [
      { rows: 3, columns: [chunk(0), chunk(number)] },
      { rows: 4, columns: [chunk(1), chunk(2)] },
    ];
    const held = new RowGroups(groups, 2);
    for (const [group, { rows, columns }] of groups.entries()) {
      expect(held.rows[group]).toBe(rows);
      for (const [leaf, wanted] of columns.entries()) expect(held.column(group, leaf)).toEqual(wanted);
    }
    for (const [group, leaf] of [
      [0, 2],
      [2, 0],
      [0, -1],
      [-1, 0],
      [-1, 3],
    ] as const)
      expect(held.column(group, leaf)).toBeUndefined();
  });
});
