import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import { isNamesFile } from "../../../lib/data/tenx/matrix_market_files.js";
import {
  allIds,
  CELLS,
  COUNTS,
  denseAll,
  denseRows,
  failure,
  fixture,
  SYMBOLS,
  temporaryFolder,
} from "../support.js";

const IDS = [0, 1, 2, 3, 4].map((i) => `ENSMUSG0000000000${i}`);

function folder(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/matrix_market/${name}`, import.meta.url));
}

/** A copy of the Cell Ranger 2 folder, to be changed. */
function copy(): string {
  const path = temporaryFolder();
  cpSync(folder("v2/mm10"), path, { recursive: true });
  return path;
}

/** The copied folder with another matrix file. */
function withMatrix(text: string): string {
  const path = copy();
  writeFileSync(join(path, "matrix.mtx"), text);
  return path;
}

const HEADER = "%%MatrixMarket matrix coordinate integer general\n";

describe.each([
  ["v2", IDS],
  ["v2/mm10", IDS],
  ["v2/mm10/matrix.mtx", IDS],
  ["v3", IDS],
  ["geo/GSM2_b_matrix.mtx.gz", IDS],
  ["by_gene", SYMBOLS],
  ["by_gene/cells_x_genes.mtx", SYMBOLS],
])("%s", (name, ids) => {
  it("gives every count, cell name and gene", async () => {
    using source = await openCells(folder(name));
    expect(await denseAll(source)).toEqual(COUNTS);
    expect(await allIds(source)).toEqual(CELLS);
    expect(source.genes.map(({ id }) => id)).toEqual(ids);
  });

  it("gives rows in any order, and again from its description", async () => {
    using first = await openCells(folder(name));
    using source = await openSource(structuredClone(first.descriptor()));
    expect(await denseRows(source, [5, 0, 5, 2])).toEqual([5, 0, 5, 2].map((row) => COUNTS[row]));
  });
});

it("features that are not gene expression are left out and counted", async () => {
  using source = await openCells(folder("v3"));
  expect(source.notes).toEqual([
    'features that are not gene expression were left out: 1 x "Antibody Capture"',
  ]);
  expect(source.genes[2]).toEqual({ id: IDS[2], aliases: [SYMBOLS[2]] });
});

it("an entry of a pattern counts 1", async () => {
  using source = await openCells(folder("pattern"));
  expect(await denseAll(source)).toEqual(COUNTS.map((row) => row.map((count) => Math.min(count, 1))));
});

/** Genes of another genome, as many as the fixture has. */
const OTHER_GENES = [0, 1, 2, 3, 4].map((i) => `hg19_ENSG0000000000${i}\thg19_G${i}\n`).join("");

/** A folder of Cell Ranger 2 with a matrix for each of two genomes, of the same cells. */
function genomes(): string {
  const path = temporaryFolder();
  cpSync(folder("v2/mm10"), join(path, "mm10"), { recursive: true });
  cpSync(folder("v2/mm10"), join(path, "hg19"), { recursive: true });
  writeFileSync(join(path, "hg19", "genes.tsv"), OTHER_GENES);
  writeFileSync(join(path, "hg19", "matrix.mtx"), `${HEADER}5 6 1\n1 1 7\n`);
  return path;
}

it("of several genomes' folders the one with the most counts is taken, with a note, or the one asked for", async () => {
  const path = genomes();
  using source = await openCells(path);
  expect(await denseAll(source)).toEqual(COUNTS);
  expect(source.notes[0]).toContain("mm10 has the most counts");
  using other = await openCells(path, { genome: "hg19" });
  expect((await denseAll(other))[0]).toEqual([7, 0, 0, 0, 0]);
  expect((await failure(() => openCells(path, { genome: "rn6" }))).code).toBe("DATA_MISSING_GENOME");
});

describe("folders of samples are read as one source", () => {
  /** Two donors as Cell Ranger `version` writes them, with names of cells of their own. */
  function donors(version: "v2/mm10" | "v3"): string {
    const path = temporaryFolder();
    for (const donor of ["donor1", "donor2"]) {
      cpSync(folder(version), join(path, donor), { recursive: true });
      const names = CELLS.map((name) => `${donor}_${name}\n`).join("");
      if (version === "v3") writeFileSync(join(path, donor, "barcodes.tsv.gz"), gzipSync(names));
      else writeFileSync(join(path, donor, "barcodes.tsv"), names);
    }
    return path;
  }
  const twice = [...COUNTS, ...COUNTS];
  const names = ["donor1", "donor2"].flatMap((donor) => CELLS.map((name) => `${donor}_${name}`));

  it.each(["v2/mm10", "v3"] as const)("with every cell and its name (%s)", async (version) => {
    using source = await openCells(donors(version));
    expect(await denseAll(source)).toEqual(twice);
    expect(await allIds(source)).toEqual(names);
    using again = await openSource(structuredClone(source.descriptor()));
    expect(await allIds(again)).toEqual(names);
  });

  it("that have the same barcodes and the same genes, as whole lists of barcodes do", async () => {
    const path = temporaryFolder();
    for (const donor of ["donor1", "donor2"])
      cpSync(folder("v2/mm10"), join(path, donor), { recursive: true });
    using source = await openCells(path);
    expect(source.cellCount).toBe(12);
  });

  it("at any depth, beside files of other kinds, and not round in circles", async () => {
    const path = temporaryFolder();
    cpSync(donors("v3"), join(path, "runs", "a"), { recursive: true });
    copyFileSync(fixture("dense_compressed"), join(path, "cells.h5ad"));
    mkdirSync(join(path, "analysis"));
    writeFileSync(join(path, "analysis", "clusters.csv"), "barcode,cluster\nc0,1\n");
    symlinkSync(path, join(path, "runs", "loop"));
    using source = await openCells(path);
    expect(await allIds(source)).toEqual([...CELLS, ...names]);
  });

  it("of which one is taken where a genome of its name is asked for", async () => {
    using source = await openCells(donors("v2/mm10"), { genome: "donor2" });
    expect(await allIds(source)).toEqual(names.slice(6));
  });

  it("and so are a matrix and a file of other cells beside it", async () => {
    const path = copy();
    copyFileSync(fixture("dense_compressed"), join(path, "cells.h5ad"));
    using source = await openCells(path);
    expect(source.cellCount).toBe(12);
  });
});

it("names of cells and genes are told from other files", () => {
  for (const name of ["barcodes.tsv", "features.tsv.gz", "gsm1_a_genes.tsv", "x.barcodes.txt"]) {
    expect(isNamesFile(name), name).toBe(true);
  }
  for (const name of ["matrix.mtx", "cells.parquet", "genes", "mygenes.tsv"]) {
    expect(isNamesFile(name), name).toBe(false);
  }
});

describe("lines as other tools write them are read", () => {
  it.each([
    ["Windows line ends", `${HEADER.trim()}\r\n5 6 2\r\n1 1 4\r\n5 6 2\r\n`],
    ["no end of the last line", `${HEADER}5 6 2\n1 1 4\n5 6 2`],
    ["tabs, blanks and empty lines", `${HEADER}%\n\n  5\t6  2\n\n 1 \t1  4 \n\n5 6 2\n\n`],
    ["numbers of any spelling", `${HEADER.replace("integer", "real")}5 6 2\n1 1 +.4e1\n5 6 2.00\n`],
    ["capitals in the first line", `${HEADER.replace("matrix", "MATRIX")}5 6 2\n1 1 4\n5 6 2\n`],
    ["long comments", `${HEADER}%${"x".repeat(5000)}\n5 6 2\n1 1 4\n5 6 2\n`],
  ])("%s", async (_, text) => {
    using source = await openCells(withMatrix(text));
    const dense = await denseAll(source);
    expect(dense[0]).toEqual([4, 0, 0, 0, 0]);
    expect(dense[5]).toEqual([0, 0, 0, 0, 2]);
  });
});

describe("each fault has its code and says where", () => {
  it.each([
    ["no size", HEADER, "DATA_CORRUPT", "line 1: expected the numbers of rows"],
    ["size in words", `${HEADER}5 six 1\n`, "DATA_CORRUPT", "line 2: expected the numbers of rows"],
    ["absurd size", `${HEADER}5 9000000000000 1\n1 1 1\n`, "DATA_TOO_LARGE", "claims 5 x 9000000000000"],
    ["other shape", `${HEADER}7 6 1\n1 1 1\n`, "DATA_SHAPE", "is 7 x 6 but"],
    ["row outside", `${HEADER}5 6 2\n1 1 1\n6 1 1\n`, "DATA_CORRUPT", "line 4: row 6 is outside 1 to 5"],
    ["column 0", `${HEADER}5 6 1\n1 0 1\n`, "DATA_CORRUPT", "line 3: column 0 is outside 1 to 6"],
    ["word for a row", `${HEADER}5 6 1\nx 1 1\n`, "DATA_CORRUPT", 'line 3: expected a row number, found "x"'],
    ["word for a value", `${HEADER}5 6 1\n1 1 1x\n`, "DATA_CORRUPT", 'line 3: expected a value, found "1x"'],
    ["no value", `${HEADER}5 6 1\n1 1\n`, "DATA_CORRUPT", "line 3: expected a value"],
    ["one number more", `${HEADER}5 6 1\n1 1 1 1\n`, "DATA_CORRUPT", "line 3: expected the end of the line"],
    ["entries missing", `${HEADER}5 6 3\n1 1 1\n2 1 1\n`, "DATA_TRUNCATED", "has 2 of the 3 entries"],
    [
      "entries more",
      `${HEADER}5 6 1\n1 1 1\n2 1 1\n`,
      "DATA_CORRUPT",
      "line 4: there are more than the 1 entries",
    ],
    [
      "negative",
      `${HEADER}5 6 1\n2 3 -4\n`,
      "DATA_NEGATIVE_COUNT",
      'cell "c2" (row 2), gene "ENSMUSG00000000001": -4',
    ],
    [
      "no number",
      `${HEADER.replace("integer", "real")}5 6 1\n2 3 nan\n`,
      "DATA_NOT_FINITE",
      'cell "c2" (row 2)',
    ],
    [
      "dense",
      "%%MatrixMarket matrix array real general\n5 6\n1\n",
      "DATA_FORMAT",
      "write it as a sparse matrix",
    ],
    ["complex", `${HEADER.replace("integer", "complex")}5 6 1\n`, "DATA_FORMAT", '"complex"'],
    ["symmetric", `${HEADER.replace("general", "symmetric")}5 6 1\n`, "DATA_FORMAT", '"symmetric"'],
  ])("%s", async (_, text, code, message) => {
    const error = await failure(() => openCells(withMatrix(text)));
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  });

  it("names that are missing", async () => {
    const path = copy();
    rmSync(join(path, "genes.tsv"));
    const error = await failure(() => openCells(path));
    expect(error.code).toBe("DATA_NOT_FOUND");
    expect(error.message).toContain("features.tsv");
  });

  it.each([
    ["blanks without end", `${HEADER}5 6 1\n1 1 1\n`, " ", "DATA_FORMAT", "a line is longer than"],
    ["a comment without end", HEADER, "%", "DATA_FORMAT", "a line is longer than"],
    ["empty lines without end", HEADER, "\n", "DATA_CORRUPT", "expected the numbers of rows"],
    [
      "comments without end",
      HEADER,
      `%${"x".repeat(1 << 19)}\n`,
      "DATA_CORRUPT",
      "expected the numbers of rows",
    ],
    ["empty lines without end after entries", `${HEADER}5 6 1\n1 1 1\n`, "\n", "DATA_FORMAT", "empty lines"],
    ["lines of blanks without end", `${HEADER}5 6 1\n1 1 1\n`, "  \n", "DATA_FORMAT", "empty lines"],
  ])("%s, soon", async (_, start, filler, code, message) => {
    const path = copy();
    rmSync(join(path, "matrix.mtx"));
    const text = Buffer.concat([Buffer.from(start), Buffer.alloc(1 << 26, filler)]);
    writeFileSync(join(path, "matrix.mtx.gz"), gzipSync(text, { level: 1 }));
    const error = await failure(() => openCells(path));
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  });

  it.each([
    ["genes.tsv", "DATA_SHAPE"],
    ["barcodes.tsv", "DATA_FORMAT"],
  ])("names without end in %s, soon", async (name, ofEmptyLines) => {
    for (const [filler, code] of [
      [" ", "DATA_FORMAT"],
      ["\n", ofEmptyLines],
    ] as const) {
      const path = copy();
      rmSync(join(path, name));
      writeFileSync(join(path, `${name}.gz`), gzipSync(Buffer.alloc(1 << 25, filler), { level: 1 }));
      expect((await failure(() => openCells(path))).code).toBe(code);
    }
  });

  it.each([
    ["genes.tsv", "a long name", "x".repeat(5000)],
    ["genes.tsv", "a long symbol", `G1\t${"x".repeat(5000)}`],
    ["barcodes.tsv", "a long name", "x".repeat(5000)],
  ])("in %s, %s", async (name, _, line) => {
    const path = copy();
    writeFileSync(join(path, name), `${line}\n${readFileSync(join(path, name), "utf8")}`);
    const error = await failure(() => openCells(path));
    expect(error.message).toContain(`${name}: a name of a cell or gene is longer than 4096 bytes`);
    expect(error.code).toBe("DATA_FORMAT");
  });

  it("a gzip file that was cut short or changed", async () => {
    const path = temporaryFolder();
    cpSync(folder("v3"), path, { recursive: true });
    const matrix = join(path, "matrix.mtx.gz");
    const whole = readFileSync(matrix);
    writeFileSync(matrix, whole.subarray(0, whole.length - 20));
    expect((await failure(() => openCells(path))).code).toBe("DATA_TRUNCATED");
    const changed = Buffer.from(whole);
    changed[whole.length - 6]! ^= 0xff;
    writeFileSync(matrix, changed);
    expect((await failure(() => openCells(path))).code).toBe("DATA_CORRUPT");
  });
});

it("gzip files of several members are read to their end", async () => {
  const path = temporaryFolder();
  cpSync(folder("v3"), path, { recursive: true });
  const text = gunzipSync(readFileSync(join(path, "matrix.mtx.gz")));
  const half = text.length >> 1;
  const members = [text.subarray(0, half), text.subarray(half)].map((part) => gzipSync(part));
  writeFileSync(join(path, "matrix.mtx.gz"), Buffer.concat(members));
  using source = await openCells(path);
  expect(await denseAll(source)).toEqual(COUNTS);
});
