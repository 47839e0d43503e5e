export { cellsLike, type LikeCells } from "./cells_like.js";
export { type GenerateFileOptions, type Generation, generatedNames, generateFile } from "./generate_file.js";
