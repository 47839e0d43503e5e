import { DdscError } from "../../base/errors.js";
import type { MetadataColumn } from "../sources/cells.js";

/** Names of the list columns of gene tokens and of expressions, the published ones first. */
export const TOKEN_NAMES: readonly string[] = ["genes", "gene_ids", "input_ids", "tokens"];
export const EXPRESSION_NAMES: readonly string[] = ["expressions", "expression", "counts", "values"];

/** The first token of a gene: those before are special. */
export const FIRST_TOKEN = 3;

/** Columns that hold cell names, as common data sets call them. */
const ID_COLUMNS = [
  "BARCODE_SUB_LIB_ID",
  "cell_id",
  "cell_name",
  "cell",
  "barcode",
  "barcodes",
  "obs_id",
  "obs_names",
  "_index",
  "index",
  "__index_level_0__",
];
/** Files that lie beside the shards of a data set and hold no cells. */
const COMPANION = /^(.*_metadata\.parquet|vocab\.json|dataset_infos?\.json|state\.json|readme(\.md)?)$/;

/** The column of cell names, if there is one. */
export function idColumn(columns: readonly MetadataColumn[]): string | undefined {
  return ID_COLUMNS.find((id) => columns.some(({ name, kind }) => name === id && kind === "text"));
}

/** Whether a file of this name (in lower case) belongs to shards of Parquet or Arrow and holds no cells. */
export function isCompanion(name: string): boolean {
  return COMPANION.test(name);
}

/** The error for a table that holds no cells. */
export function wideFormatError(name: string, columns: readonly string[]): DdscError {
  const some = columns.slice(0, 8).join(", ");
  return new DdscError(
    "DATA_FORMAT",
    `${name}: has neither lists named genes and expressions nor columns of numbers, a column a gene; its columns are ${some}`,
    { file: name },
  );
}

/** The error for a table of genes where cells are wanted. */
export function geneTableError(name: string): DdscError {
  return new DdscError(
    "DATA_FORMAT",
    `${name}: a table of genes and their tokens, not of cells; give the files of cells that it belongs to`,
    { file: name },
  );
}

/** The error for a token that no gene has. */
export function unknownToken(name: string, row: number, token: number): DdscError {
  const what =
    token === -(2 ** 31)
      ? "a missing gene token"
      : `the gene token ${token}, which the table of genes does not have`;
  return new DdscError(
    "DATA_UNKNOWN_TOKEN",
    `${name}: row ${row} holds ${what}; pass the table of genes that belongs to the data as geneTable`,
    { file: name, row, argument: "geneTable" },
  );
}
