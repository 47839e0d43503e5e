export { chanceAboveZero, negativeBinomialQuantile } from "../counts/negative_binomial_quantile.js";
export type { CountedCellsOptions } from "./counted_cells.js";
export { type DenoiseCellsOptions, type DenoisedCells, denoiseCells } from "./denoise_cells.js";
export { type EmbedCellsOptions, type EmbeddedCells, embedCells } from "./embed_cells.js";
export { type Embedding, type EmbedFileOptions, embedFile } from "./embed_file.js";
export type { FileJobOptions } from "./file_job.js";
export { type Imputation, type ImputeFileOptions, imputeFile } from "./impute_file.js";
export { IMPUTED_LAYERS, type ImputedLayer } from "./layers.js";
export { type StateCoordinates, stateCoordinates } from "./state_coordinates.js";
