import { DdscError } from "../../base/errors.js";
import { uniqueIds } from "../genes/gene_names.js";
import { areCellNames, areEnsembl } from "../genes/orientation.js";
import { parseNumber } from "../text/numbers.js";

/** Records after the first that are looked at to tell what columns hold. */
export const PROBED_RECORDS = 20;
const MAX_NAMED = 5;

/** What the column of names is called, compared as `plainName` writes it: where lines are cells, ... */
const CELL_HEADINGS = new Set(
  ["cell", "cells", "cell_id", "cellid", "cell_ids", "cell_name", "cell_names", "cell_barcode"].concat([
    "barcode",
    "barcodes",
    "obs_names",
  ]),
);
/** ... where they are genes, ... */
const GENE_HEADINGS = new Set(
  ["gene", "genes", "gene_id", "gene_ids", "geneid", "gene_name", "gene_names", "genename"].concat(
    ["gene_symbol", "gene_symbols", "genesymbol", "gene_short_name", "symbol", "symbols", "hgnc_symbol"],
    [
      "feature",
      "features",
      "feature_id",
      "feature_name",
      "ensembl",
      "ensembl_id",
      "ensembl_gene_id",
      "var_names",
    ],
  ),
);
/** ... and where they may be either. */
const OTHER_HEADINGS = new Set(["", "index", "id", "name", "unnamed:_0", "v1", "x"]);
/** Columns of numbers that describe a cell, as common tools call them; compared as `plainName` writes it. */
const METADATA_NAMES = new Set(
  [
    "n_genes",
    "n_genes_by_counts",
    "n_counts",
    "total_counts",
    "ncount_rna",
    "nfeature_rna",
    "n_umi",
    "n_umis",
    "numi",
  ].concat(
    [
      "ngene",
      "percent_mito",
      "percent_mt",
      "pct_counts_mt",
      "pct_counts_in_top_50_genes",
      "doublet_score",
      "s_score",
    ],
    [
      "g2m_score",
      "phase",
      "batch",
      "cluster",
      "clusters",
      "seurat_clusters",
      "leiden",
      "louvain",
      "sample",
      "sample_id",
    ],
    [
      "donor",
      "donor_id",
      "plate",
      "day",
      "age",
      "replicate",
      "lane",
      "library",
      "label",
      "cell_type",
      "celltype",
    ],
  ),
);

/** What is in the columns of a table of cells by genes, or of genes by cells. */
export interface DelimitedLayout {
  /** "cells": a line a cell; "genes": a line a gene. */
  readonly lines: "cells" | "genes";
  /** Whether the first field of a line is its name. */
  readonly named: boolean;
  /** Name of the first column where it holds names. */
  readonly indexName: string;
  /** Fields of a line. */
  readonly fields: number;
  /** Names of the columns of counts, in order: genes, or cells of a table of genes. */
  readonly counted: readonly string[];
  /** What each field is, [fields]: its place in `counted`, or `NO_COUNT`. */
  readonly roles: Int32Array;
  /** Columns that describe the lines. */
  readonly described: readonly {
    readonly name: string;
    readonly kind: "text" | "number";
    readonly field: number;
  }[];
  readonly notes: readonly string[];
}

/** Role of a field that holds no count. */
export const NO_COUNT = -1;

/** What the user said about a table. */
export interface DelimitedOptions {
  /** True: a line is a gene; false: a line is a cell; undefined: told by the names. */
  readonly transpose?: boolean;
  /** Columns that describe cells, beside those that are no numbers. */
  readonly metadataColumns?: readonly string[];
}

/**
 * Finds out what the columns hold from the header and the first records. Throws `DATA_FORMAT` if there is no header, no
 * record or no column of numbers; `DATA_SHAPE` if the lengths differ; `DATA_MISSING_COLUMN` for a metadata column there
 * is not.
 */
export function findLayout(
  path: string,
  header: readonly string[],
  records: readonly (readonly string[])[],
  options: DelimitedOptions,
): DelimitedLayout {
  const fail = (code: string, what: string): DdscError =>
    new DdscError(code, `${path}: ${what}`, { file: path });
  const [first] = records;
  if (first === undefined) throw fail("DATA_FORMAT", "has a header but no lines of counts");
  const fields = first.length;
  // R leaves out the heading of the column of names.
  const headings = header.length === fields - 1 ? ["", ...header] : header;
  if (headings.length !== fields) {
    throw fail(
      "DATA_SHAPE",
      `the first line has ${header.length} fields but the next has ${fields}; write the file again`,
    );
  }
  const numeric = headings.map((_, field) => holdsNumbers(records.map((record) => record[field])));
  if (looksLikeCounts(header)) {
    throw fail("DATA_FORMAT", "the first line holds numbers, not names of genes; add a header");
  }
  const named = isIndex(headings[0] ?? "", records, numeric[0] === true);
  const lineNames = named ? records.map((record) => record[0] ?? "") : [];
  const columnNames = headings.slice(named ? 1 : 0);
  const notes: string[] = [];
  const heading = named ? (headings[0] ?? "") : "";
  const lines = orientation(options.transpose, { heading, lineNames, columnNames }, notes);

  const wanted = new Set(options.metadataColumns ?? []);
  const counted: string[] = [];
  const described: { name: string; kind: "text" | "number"; field: number }[] = [];
  const roles = new Int32Array(fields).fill(NO_COUNT);
  for (let field = named ? 1 : 0; field < fields; field++) {
    const name = headings[field] ?? "";
    const given = wanted.delete(name) || (lines === "cells" && describesCells(name));
    if (given || numeric[field] !== true) {
      described.push({ name, kind: numeric[field] === true ? "number" : "text", field });
    } else {
      roles[field] = counted.length;
      counted.push(name);
    }
  }
  for (const name of wanted) {
    throw new DdscError(
      "DATA_MISSING_COLUMN",
      `${path}: there is no column "${name}" that could be metadata`,
      {
        file: path,
        argument: "metadataColumns",
      },
    );
  }
  if (counted.length === 0)
    throw fail("DATA_FORMAT", "is a table without columns of numbers; is this a table of counts?");
  if (lines === "genes" && described.length > 0) {
    notes.push(`columns that hold no counts were left out: ${namesOf(described.map(({ name }) => name))}`);
  }
  const numbers = described.filter(({ kind }) => kind === "number").map(({ name }) => name);
  if (lines === "cells" && numbers.length > 0) {
    notes.push(`columns of numbers that are taken for metadata, not genes: ${namesOf(numbers)}`);
  }
  const unique = uniqueIds(described.map(({ name }) => name)).ids;
  const indexName = named && headings[0] !== "" ? (headings[0] ?? "_index") : "_index";
  return {
    lines,
    named,
    indexName,
    fields,
    counted,
    roles,
    described: described.map((column, i) => ({ ...column, name: unique[i] ?? column.name })),
    notes,
  };
}

/** A missing value, as pandas and R write it. */
export function isMissing(text: string | undefined): boolean {
  return text === undefined || text === "" || text === "NA" || text === "NaN" || text === "nan";
}

/** True if there are numbers, and nothing else but missing values. */
function holdsNumbers(values: readonly (string | undefined)[]): boolean {
  const present = values.filter((value) => !isMissing(value));
  return present.length > 0 && present.every(isNumber);
}

function isNumber(text: string | undefined): boolean {
  if (text === "0") return true;
  if (text === undefined || text.length > 64) return false;
  return parseNumber(text) !== undefined;
}

/** True for a first line of numbers of which some are equal: identifiers differ. */
function looksLikeCounts(header: readonly string[]): boolean {
  const rest = header.slice(1);
  return rest.length > 1 && rest.every(isNumber) && new Set(rest).size < rest.length;
}

function isIndex(heading: string, records: readonly (readonly string[])[], numeric: boolean): boolean {
  const plain = plainName(heading);
  if ([CELL_HEADINGS, GENE_HEADINGS, OTHER_HEADINGS].some((known) => known.has(plain))) return true;
  if (numeric) return false;
  const distinct = new Set(records.map((record) => record[0]));
  return 2 * distinct.size > records.length;
}

/** Whether a column of numbers of this name describes cells and is no gene. */
export function describesCells(name: string): boolean {
  return METADATA_NAMES.has(plainName(name));
}

function plainName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s.-]+/g, "_");
}

/** The names of a table, as far as they tell which way it lies. */
interface TableNames {
  /** That of the column of names; "" without. */
  readonly heading: string;
  readonly lineNames: readonly string[];
  readonly columnNames: readonly string[];
}

/** What a line is: as the user says, else as names that look like those of genes or cells say, else as their heading says. */
function orientation(
  transpose: boolean | undefined,
  { heading, lineNames, columnNames }: TableNames,
  notes: string[],
): "cells" | "genes" {
  if (transpose !== undefined) return transpose ? "genes" : "cells";
  const onlyIn = (
    there: readonly string[],
    are: (names: readonly string[]) => boolean,
    here: readonly string[],
  ): boolean => are(there) && !are(here);
  const plain = plainName(heading);
  const wrong = "open it with transpose: false if that is wrong";
  if (onlyIn(lineNames, areEnsembl, columnNames) || onlyIn(columnNames, areCellNames, lineNames)) {
    notes.push(`the names say that a line is a gene and a column a cell; ${wrong}`);
    return "genes";
  }
  if (!GENE_HEADINGS.has(plain)) return "cells";
  if (onlyIn(columnNames, areEnsembl, lineNames) || onlyIn(lineNames, areCellNames, columnNames)) {
    notes.push(
      `the heading "${heading}" says that a line is a gene, but the names say that it is a cell, and are believed; ` +
        "pass --transpose if that is wrong",
    );
    return "cells";
  }
  notes.push(
    `the heading "${heading}" says that a line is a gene and a column a cell; change it to "cell", or ${wrong}`,
  );
  return "genes";
}

function namesOf(names: readonly string[]): string {
  return names.slice(0, MAX_NAMED).join(", ") + (names.length > MAX_NAMED ? `, ... (${names.length})` : "");
}
