import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import type { OpenOptions } from "../../../lib/data/sources/cells.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import {
  allIds,
  CELLS,
  COUNTS,
  columnValues,
  denseAll,
  denseRows,
  failure,
  SYMBOLS,
  temporaryFolder,
} from "../support.js";

const IDS = [0, 1, 2, 3, 4].map((i) => `ENSMUSG0000000000${i}`);
const TYPES = ["neuron", "glia", "neuron", "neuron", "glia", "neuron"];

function table(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/delimited/${name}`, import.meta.url));
}

/** The path of a table of this text, plain or gzipped. */
function written(text: string, gzipped = false): string {
  const path = join(temporaryFolder(), "table.csv");
  writeFileSync(path, gzipped ? gzipSync(text) : text);
  return path;
}

describe.each<[string, readonly string[], OpenOptions]>([
  ["cells.csv", SYMBOLS, {}],
  ["cells.tsv.gz", SYMBOLS, {}],
  ["described.csv", SYMBOLS, {}],
  ["described.csv.gz", SYMBOLS, {}],
  ["genes.csv", IDS, {}],
  ["genes.txt.gz", SYMBOLS, { transpose: true }],
  ["r.txt", SYMBOLS, {}],
])("%s", (name, ids, options) => {
  it("gives every count, cell name and gene", async () => {
    using source = await openCells(table(name), options);
    expect(await denseAll(source)).toEqual(COUNTS);
    expect(await allIds(source)).toEqual(CELLS);
    expect(source.genes.map(({ id }) => id)).toEqual(ids);
  });

  it("gives any rows in any order, repeats included, and again from its description", async () => {
    using first = await openCells(table(name), options);
    using source = await openSource(structuredClone(first.descriptor()));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 5 }), { maxLength: 12 }), async (rows) => {
        expect(await denseRows(source, rows)).toEqual(rows.map((row) => COUNTS[row]));
      }),
      { numRuns: 30 },
    );
  });
});

it("cells without names get the numbers of their rows", async () => {
  using source = await openCells(table("semicolon.csv"));
  expect(await denseAll(source)).toEqual(COUNTS);
  expect(await source.cellIds(Int32Array.of(3, 0))).toEqual(["row 3", "row 0"]);
});

describe.each(["described.csv", "described.csv.gz"])("columns of %s that describe cells", (name) => {
  it("are typed, with missing values, quotes, commas and line ends in them", async () => {
    using source = await openCells(table(name));
    expect(source.metadataColumns).toMatchObject([
      { name: "cell_type", kind: "text" },
      { name: "n_counts", kind: "number" },
      { name: "note", kind: "text" },
    ]);
    expect(await columnValues(source, "cell_type")).toEqual(TYPES);
    expect(await columnValues(source, "n_counts")).toEqual([4, 9, 7, 9, 0, 10]);
    const notes = ["first", 'with, comma and "quotes"', null, "over\ntwo lines", "é", "last"];
    expect(await columnValues(source, "note")).toEqual(notes);
    expect(source.notes).toEqual(["columns of numbers that are taken for metadata, not genes: n_counts"]);
  });

  it("are read for some rows in any order", async () => {
    using source = await openCells(table(name));
    const some = await source.metadata({ columns: ["note", "cell_type"], rows: Int32Array.of(4, 1, 4) });
    expect(some.schema.fields.map((field) => field.name)).toEqual(["note", "cell_type"]);
    expect([...some.getChild("note")!]).toEqual(["é", 'with, comma and "quotes"', "é"]);
    expect([...some.getChild("cell_type")!]).toEqual(["glia", "glia", "glia"]);
    expect((await failure(() => source.metadata({ columns: ["x"] }))).code).toBe("DATA_MISSING_COLUMN");
  });

  it("come with the frames that are written again", async () => {
    using source = await openCells(table(name));
    const { obs } = await framesOf(source);
    expect(obs.index).toEqual(CELLS);
    expect([...obs.columns.keys()]).toEqual(["cell_type", "n_counts", "note"]);
  });
});

it("names of lines and columns tell which way the table is, unless that is said", async () => {
  using source = await openCells(table("genes.csv"));
  expect(source.notes[0]).toContain("a line is a gene");
  using other = await openCells(table("genes.csv"), { transpose: false });
  expect(await allIds(other)).toEqual(IDS);
  using barcodes = await openCells(written("gene,AAACCTGAGAAACCAT-1,AAACCTGAGAAACCGC-1\nA,1,2\nB,0,3\n"));
  expect(await denseAll(barcodes)).toEqual([
    [1, 0],
    [2, 3],
  ]);
});

describe("where names do not tell, the heading of the first column does", () => {
  it.each(["gene", "GENE_ID", "Gene Symbol", "gene_name", "symbol", "Feature"])(
    "%s: a line is a gene",
    async (heading) => {
      for (const gzipped of [false, true]) {
        using source = await openCells(
          written(`${heading},c0,c1,c2\nGENE000,1,2,0\nGENE001,0,3,4\n`, gzipped),
        );
        expect(source.genes.map(({ id }) => id)).toEqual(["GENE000", "GENE001"]);
        expect(await allIds(source)).toEqual(["c0", "c1", "c2"]);
        expect(source.notes[0]).toContain(`the heading "${heading}" says that a line is a gene`);
      }
    },
  );

  it.each(["cell", "Cell_ID", "barcode", "", "index"])("%s: a line is a cell", async (heading) => {
    using source = await openCells(written(`${heading},g0,g1,g2\nx,1,2,0\ny,0,3,4\n`));
    expect(await allIds(source)).toEqual(["x", "y"]);
    expect(source.notes).toEqual([]);
  });

  it("unless the user says it", async () => {
    using cells = await openCells(written("gene,g0,g1\nx,1,2\n"), { transpose: false });
    expect(await allIds(cells)).toEqual(["x"]);
    using genes = await openCells(written("cell,c0,c1\ng0,1,2\n"), { transpose: true });
    expect(await allIds(genes)).toEqual(["c0", "c1"]);
  });

  it("but names that are plainly those of genes or cells are believed, with a note", async () => {
    using cells = await openCells(written(`gene,${IDS.slice(0, 2).join(",")}\nx,1,2\n`));
    expect(await allIds(cells)).toEqual(["x"]);
    expect(cells.notes[0]).toContain('the heading "gene" says that a line is a gene, but');
    using genes = await openCells(written(`cell,x,y\n${IDS[0]},1,2\n`));
    expect(await allIds(genes)).toEqual(["x", "y"]);
  });
});

it("names are told from missing values, and may hold quotes and delimiters", async () => {
  const names = ["NA", 'a "b", c', "", "nan"];
  const text = names.map((name) => `"${name.replaceAll('"', '""')}",1,2\n`).join("");
  for (const gzipped of [false, true]) {
    using cells = await openCells(written(`cell,A,B\n${text}`, gzipped));
    expect(await allIds(cells)).toEqual(names);
    using genes = await openCells(written(`gene,A,B\n${text}`, gzipped), { transpose: true });
    expect(genes.genes.map(({ id }) => id)).toEqual(names);
  }
});

it("columns of numbers can be declared metadata", async () => {
  const path = written("cell,A,dose,B\nx,1,0.5,2\ny,3,NA,4\n");
  using source = await openCells(path, { metadataColumns: ["dose"] });
  expect(source.genes.map(({ id }) => id)).toEqual(["A", "B"]);
  expect(await columnValues(source, "dose")).toEqual([0.5, null]);
  const error = await failure(() => openCells(path, { metadataColumns: ["DOSE"] }));
  expect(error.code).toBe("DATA_MISSING_COLUMN");
});

it("byte order mark, empty lines, blanks around fields and a missing last line end do not matter", async () => {
  for (const gzipped of [false, true]) {
    using source = await openCells(
      written('\ufeffcell , A, B \r\n\r\nx,1, 2\r\n\r\n\r\ny , 3,"4"\r\n\n z,5,6', gzipped),
    );
    expect(source.genes.map(({ id }) => id)).toEqual(["A", "B"]);
    expect(await allIds(source)).toEqual(["x", "y", "z"]);
    expect(await denseRows(source, [2, 1, 0])).toEqual([
      [5, 6],
      [3, 4],
      [1, 2],
    ]);
  }
});

describe.each([false, true])("each fault has its code and names line and column (gzipped: %s)", (gzipped) => {
  const lines = (...rows: string[]): string => `cell,A,B\n${rows.join("\n")}\n`;
  const good = Array.from({ length: 200 }, (_, i) => `c${i},1,2`);
  it.each([
    ["a word", lines(...good, "x,1,two"), "DATA_TYPE", 'line 202, column 3 ("B"): is "two", no number'],
    ["nothing", lines(...good, "x,,2"), "DATA_TYPE", 'line 202, column 2 ("A"): is empty'],
    [
      "a field more",
      lines(...good, "x,1,2,3"),
      "DATA_SHAPE",
      "line 202: has 4 fields but the lines before have 3",
    ],
    ["a long name", lines(`${"x".repeat(5000)},1,2`), "DATA_FORMAT", "longer than 4096 bytes"],
    ["a field less", lines("x,1,2", "y,1"), "DATA_SHAPE", "line 3: has 2 fields"],
    ["negative", lines("x,1,-2"), "DATA_NEGATIVE_COUNT", 'cell "x" (row 0), gene "B": -2'],
    ["infinite", lines("x,1,inf"), "DATA_NOT_FINITE", 'cell "x" (row 0), gene "B": Infinity'],
    ["a quote that stays open", lines("x,1,2", '"y,1,2'), "DATA_FORMAT", "line 3: a double quote is opened"],
    ["no lines", "cell,A,B\n", "DATA_FORMAT", "no lines of counts"],
    ["no numbers", "a,b\nx,y\n", "DATA_FORMAT", "without columns of numbers"],
    ["no header", "c0,0,1,0\nc1,2,0,0\n", "DATA_FORMAT", "add a header"],
    [
      "another number of names",
      "A,B,C,D\nx,1\n",
      "DATA_SHAPE",
      "the first line has 4 fields but the next has 2",
    ],
  ])("%s", async (_, text, code, message) => {
    const error = await failure(async () => {
      using source = await openCells(written(text, gzipped));
      await denseAll(source);
    });
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  });
});

it("a line number counts the line ends inside quotes", async () => {
  const good = Array.from({ length: 30 }, (_, i) => `c${i},"1\n2\n3",4\n`).join("");
  for (const gzipped of [false, true]) {
    const error = await failure(async () => {
      using source = await openCells(written(`cell,note,A\n${good}y,a,x\n`, gzipped));
      await denseAll(source);
    });
    expect(error.message).toContain('line 92, column 3 ("A")');
  }
});

it("other text is not taken for a table", async () => {
  for (const text of [
    "{}",
    '{"a": 1, "b": 2}',
    "<html>, </html>",
    "no delimiter here\nnor here\n",
    "\u0000\u0001,\n",
  ]) {
    expect((await failure(() => openCells(written(text)))).code, text).toBe("DATA_FORMAT");
  }
});
