export { type GenerateFileOptions, type Generation, generateFile } from "./generate_file.js";
export { cellsLike, type LikeCells } from "./templates_like.js";
