import { readFile } from "node:fs/promises";
import { UsageError } from "./usage_error.js";

/**
 * Genes named by `--genes`: a text file with one a line where there is a file of that name, otherwise the names
 * themselves, comma-separated. Empty lines are skipped. Throws a UsageError for an empty list.
 */
export async function readGeneList(value: string): Promise<string[]> {
  const text = await readFile(value, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENAMETOOLONG" || error.code === "ENOTDIR")
      return undefined;
    throw new UsageError(`--genes ${value} cannot be read: ${error.message}`, { cause: error });
  });
  const names = (text === undefined ? value.split(",") : text.split(/\r?\n/)).map((name) => name.trim());
  const genes = [...new Set(names.filter((name) => name !== ""))];
  if (genes.length > 0) return genes;
  throw new UsageError(
    `--genes ${value} names no gene; give names separated by commas, or a file with one a line`,
  );
}
