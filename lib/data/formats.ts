import { arrow } from "./arrow.js";
import { delimited } from "./delimited.js";
import type { CellFormat } from "./format.js";
import { h5ad } from "./h5ad.js";
import { matrixMarket } from "./matrix_market.js";
import { parquet } from "./parquet.js";
import { remote } from "./remote.js";
import { tenxH5 } from "./tenx_h5.js";
import { zarrStore } from "./zarr_format.js";

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
