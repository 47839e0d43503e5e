export { type GenerateFileOptions, type Generation, generatedNames, generateFile } from "./generate_file.js";
export { cellsLike, type LikeCells } from "./templates_like.js";
