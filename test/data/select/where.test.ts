import { Table, vectorFromArray } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rowsWhere, WhereFilter } from "../../../lib/data/select/where.js";
import { parseWhere } from "../../../lib/data/select/where_syntax.js";
import type { MetadataColumn } from "../../../lib/data/sources/cells.js";
import { MemorySource } from "../../../lib/data/sources/memory.js";
import { failure } from "../support.js";

/** Cells with every kind of column; null is a missing value. */
const CELLS = {
  drug: ["DMSO", "DMSO", "Huntington's", null, "a b", "DMSO"],
  n_genes: [100, 250, 300, 400, Number.NaN, null],
  dead: [true, false, null, false, true, false],
  "cell type": ["T", "B", "T", "B", null, "T"],
} as const;
const KINDS: Record<keyof typeof CELLS, MetadataColumn["kind"]> = {
  drug: "text",
  n_genes: "number",
  dead: "boolean",
  "cell type": "text",
};
const source = {
  name: "cells",
  metadataColumns: Object.entries(KINDS).map(([name, kind]) => ({ name, kind })),
};
const table = new Table(
  Object.fromEntries(
    // Text becomes dictionaries, as sources give it.
    Object.entries(CELLS).map(([name, values]) => [name, vectorFromArray(values as readonly unknown[])]),
  ),
);

function places(where: string): number[] {
  return [...new WhereFilter(where, source).places(table)];
}

describe("a condition takes the cells for which it is true", () => {
  it.each([
    ["drug = 'DMSO'", [0, 1, 5]],
    ["drug = 'DMSO' and n_genes > 200", [1]],
    ["drug != 'DMSO'", [2, 4]],
    ["not drug = 'DMSO'", [2, 4]],
    ["drug = 'Huntington''s'", [2]],
    ["drug in ('a b', 'Huntington''s')", [2, 4]],
    ["drug not in ('DMSO')", [2, 4]],
    ["drug is null", [3]],
    ["drug is not null", [0, 1, 2, 4, 5]],
    ["n_genes is null", [4, 5]],
    ["n_genes >= 250 AND n_genes <= 300", [1, 2]],
    ["n_genes <> 100", [1, 2, 3]],
    ["n_genes = 1e2 or n_genes in (300, 4.0e+2)", [0, 2, 3]],
    ["n_genes > -1", [0, 1, 2, 3]],
    ["dead = true", [0, 4]],
    ["dead != TRUE", [1, 3, 5]],
    ["\"cell type\" = 'T' and not (dead = true or drug = 'DMSO')", []],
    ["drug = 'DMSO' or n_genes = 400 and dead = true", [0, 1, 5]],
    ["(drug = 'DMSO' or n_genes = 400) and dead = false", [1, 3, 5]],
    // Unknown or true is true; unknown and true is unknown.
    ["n_genes > 0 or drug = 'a b'", [0, 1, 2, 3, 4]],
    ["n_genes > 0 and drug = 'a b'", []],
  ])("%s", (where, expected) => {
    expect(places(where)).toEqual(expected);
  });
});

describe("a condition that cannot be used names the place", () => {
  it.each([
    ["", "expected the name of a column but found the end, at character 1"],
    ["drug", 'expected a comparison (=, !=, <, <=, >, >=), "in" or "is" but found the end, at character 5'],
    [
      "drug = DMSO",
      "expected a value (put text in single quotes: 'DMSO') but found \"DMSO\", at character 8",
    ],
    ["drug = 'DMSO", "a quote ' that is not closed, at character 8"],
    ["drug = 'a' drug", 'expected "and", "or" or the end but found "drug", at character 12'],
    ["(drug = 'a'", 'expected ")" but found the end, at character 12'],
    ["drug in 'a'", "expected \"(\" but found 'a', at character 9"],
    ["drug not = 'a'", 'expected "in" but found "=", at character 10'],
    ["drug is 'a'", 'expected "null" or "not null" but found'],
    ["drug = 'a' && dead = true", 'cannot read "&", at character 12'],
    ["drug = 1", '"drug" holds text and is compared with 1, at character 1'],
    ["n_genes = 'a'", "\"n_genes\" holds numbers and is compared with 'a', at character 1"],
    ["dead in (true, 'x')", "\"dead\" holds true or false and is compared with 'x'"],
    ["drug > 'a'", "which have no order"],
  ])("%s", async (where, text) => {
    const error = await failure(() => new WhereFilter(where, source));
    expect(error.code).toBe("ARGUMENT_WHERE");
    expect(error.message).toContain(text);
  });

  it("an unknown column is told with the nearest there is", async () => {
    const error = await failure(() => new WhereFilter("dead = true and n_gene > 2", source));
    expect(error.code).toBe("DATA_MISSING_COLUMN");
    expect(error.message).toContain('no metadata column "n_gene" (did you mean "n_genes"?), at character 17');
  });

  it("conditions without end inside each other are refused, not overflowed", async () => {
    for (const deep of [`${"(".repeat(1e5)}drug = 'a'`, `${"not ".repeat(1e5)}drug = 'a'`]) {
      expect((await failure(() => parseWhere(deep))).message).toContain("inside each other");
    }
  });
});

/** A condition as text beside what it means, by place: true, false or unknown (undefined). */
interface Meant {
  readonly text: string;
  readonly holds: (place: number) => boolean | undefined;
}

const missing = (value: unknown) => value === null || Number.isNaN(value);
const quoted = (name: string) => fc.constantFrom(`"${name}"`, ...(name.includes(" ") ? [] : [name]));

function leaf(name: keyof typeof CELLS, values: readonly unknown[]): fc.Arbitrary<Meant> {
  const literal = (value: unknown) =>
    typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
  const known = values.filter((value) => !missing(value));
  const one = fc.tuple(quoted(name), fc.constantFrom("=", "!=", "<>", "=="), fc.constantFrom(...known)).map(
    ([column, operator, value]): Meant => ({
      text: `${column}${operator}${literal(value)}`,
      holds: (place) =>
        missing(values[place]) ? undefined : (values[place] === value) === (operator[0] === "="),
    }),
  );
  const several = fc.tuple(quoted(name), fc.boolean(), fc.subarray(known, { minLength: 1 })).map(
    ([column, negated, chosen]): Meant => ({
      text: `${column} ${negated ? "not in" : "IN"} ( ${chosen.map(literal).join(" , ")})`,
      holds: (place) => (missing(values[place]) ? undefined : chosen.includes(values[place]) !== negated),
    }),
  );
  return fc.oneof(one, several);
}

const { condition } = fc.letrec<{ condition: Meant }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf("drug", CELLS.drug),
    leaf("n_genes", CELLS.n_genes),
    leaf("cell type", CELLS["cell type"]),
    leaf("dead", CELLS.dead),
    tie("condition").map(
      ({ text, holds }): Meant => ({
        text: `not (${text})`,
        holds: (place) => {
          const held = holds(place);
          return held === undefined ? undefined : !held;
        },
      }),
    ),
    fc.tuple(tie("condition"), fc.constantFrom("and", "or"), tie("condition")).map(
      ([a, word, b]): Meant => ({
        text: `(${a.text}) ${word} (${b.text})`,
        holds: (place) => {
          const decides = word === "or";
          const both = [a.holds(place), b.holds(place)];
          if (both.includes(decides)) return decides;
          return both.includes(undefined) ? undefined : !decides;
        },
      }),
    ),
  ),
}));

it("any condition means what it says", () => {
  fc.assert(
    fc.property(condition, ({ text, holds }) => {
      expect(places(text)).toEqual([0, 1, 2, 3, 4, 5].filter((place) => holds(place) === true));
    }),
    { numRuns: 400 },
  );
});

it("any text is read or refused with a code", async () => {
  const pieces = fc.array(
    fc.constantFrom(
      "drug",
      "n_genes",
      "and",
      "or",
      "not",
      "in",
      "is",
      "null",
      "(",
      ")",
      ",",
      "=",
      "<",
      "'a'",
      '"',
      "'",
      "1",
      " ",
      "é",
      "\n",
      "-",
    ),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        pieces.map((list) => list.join("")),
        fc.string(),
      ),
      async (text) => {
        const outcome = await Promise.resolve()
          .then(() => parseWhere(text))
          .catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "ARGUMENT_WHERE" });
      },
    ),
  );
});

it("rows are found part by part", async () => {
  const count = 20_000;
  using cells = new MemorySource({
    name: "many",
    ids: Array.from({ length: count }, (_, row) => `c${row}`),
    genes: [],
    offsets: new Int32Array(count + 1),
    geneColumns: new Int32Array(0),
    counts: new Float32Array(0),
    metadata: { depth: Float64Array.from({ length: count }, (_, row) => row % 1000) },
    notes: [],
  });
  const rows = await rowsWhere(cells, "depth in (3, 999)");
  expect([...rows]).toEqual(
    Array.from({ length: count }, (_, row) => row).filter((row) => [3, 999].includes(row % 1000)),
  );
});
