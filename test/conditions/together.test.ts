import { describe, expect, it } from "vitest";
import { CellConditions } from "../../lib/conditions/cell_conditions.js";
import { learnConditions } from "../../lib/conditions/learn.js";
import type { Peers } from "../../lib/data/open/share_out.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import { together } from "../cluster/in_process.js";

const CELLS = 150_000;
const TYPES = ["T cell", "B cell", "monocyte"];

/** Cells that are read in three pieces; tells how many rows of metadata were read. */
function cells(doses: (row: number) => number, typeOf = (row: number) => TYPES[row % 3] ?? "") {
  const rows = Array.from({ length: CELLS }, (_, row) => row);
  const source: CellSource = new MemorySource({
    ...{ name: "many", genes: [{ id: "A", aliases: [] }], ids: rows.map(String), notes: [] },
    offsets: new Int32Array(CELLS + 1),
    geneColumns: new Int32Array(0),
    counts: new Float32Array(0),
    metadata: { type: rows.map(typeOf), dose: Float64Array.from(rows, doses) },
  });
  const read = source.metadata.bind(source);
  const seen = { rows: 0 };
  source.metadata = (options = {}) => {
    seen.rows += options.rows?.length ?? CELLS;
    return read(options);
  };
  return { source, seen };
}

describe("conditions that several processes learn and read", () => {
  const doses = (row: number) => (row % 7 === 0 ? Number.NaN : Math.sin(row) ** 2 * 1e3);
  const both = async (source: CellSource, peers?: Peers) => {
    const learnt = await learnConditions(source, ["type", "dose:log"], peers);
    const told = await CellConditions.read(source, learnt.conditions, peers === undefined ? {} : { peers });
    return { learnt, told: told.of(Float64Array.from({ length: CELLS }, (_, row) => row)) };
  };

  it.each([2, 5])("are those of one, bit for bit, and %d read each cell once", async (world) => {
    const alone = await both(cells(doses).source);
    const found = await together(world, async (peers) => {
      const { source, seen } = cells(doses);
      return { ...(await both(source, peers)), rows: seen.rows };
    });
    for (const { learnt, told } of found) expect({ learnt, told }).toEqual(alone);
    expect(found.reduce((sum, { rows }) => sum + rows, 0)).toBe(2 * CELLS);
  });

  it("fail on all with the error of the first cell that is wrong", async () => {
    const { conditions } = await learnConditions(cells(doses).source, ["type"]);
    const strange = cells(doses, (row) => (row % 40_000 === 39_999 ? `new ${row}` : "T cell"));
    const errors = await together(3, (peers) =>
      CellConditions.read(strange.source, conditions, { peers }).catch((error: Error) => error),
    );
    for (const error of errors)
      expect(error).toMatchObject({
        code: "CONDITION_LABEL_UNKNOWN",
        place: { row: 39_999 },
        message: expect.stringContaining('"new 39999"'),
      });
    const low = cells((row) => (row % 60_000 === 1 && row > 1 ? -row : row));
    const learnt = await together(3, (peers) =>
      learnConditions(low.source, ["dose:log"], peers).catch((error: Error) => error),
    );
    for (const error of learnt)
      expect(error).toMatchObject({
        code: "CONDITION_LABELS",
        message: expect.stringContaining(" holds -60001, "),
      });
  });

  it("are told what peers are", async () => {
    const { source } = cells(doses);
    const peers = 3 as unknown as Peers;
    for (const asked of [
      learnConditions(source, ["type"], peers),
      CellConditions.read(source, [], { peers }),
    ])
      await expect(asked).rejects.toThrow(
        /^ARGUMENT_TYPE: expected processes that work together, .* for peers/,
      );
  });
});
