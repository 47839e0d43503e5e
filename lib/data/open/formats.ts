import { h5ad, zarrStore } from "../anndata/formats.js";
import { arrow } from "../arrow/format.js";
import { parquet } from "../parquet/parquet.js";
import type { CellFormat } from "../sources/format.js";
import { tenxH5 } from "../tenx/h5.js";
import { delimited } from "../text/format.js";
import { matrixMarket } from "../text/matrix_market.js";
import { remote } from "./remote.js";

/** Every format, in the order in which they are asked: those that look closer come first. */
export const formats: readonly CellFormat[] = [
  remote,
  parquet,
  arrow,
  tenxH5,
  h5ad,
  zarrStore,
  matrixMarket,
  delimited,
];
