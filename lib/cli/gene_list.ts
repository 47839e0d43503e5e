import { readFile } from "node:fs/promises";
import { UsageError } from "./usage_error.js";

/** Whether a value can only be meant as a file. */
function looksLikeFile(value: string): boolean {
  return /\.(txt|csv|tsv)$/i.test(value) || (value.includes("/") && !value.includes(","));
}

/**
 * Genes named by `--genes`: those of a text file, one a line or several separated by commas or tabs, where there is a
 * file of that name; otherwise the names themselves, comma-separated. Empty lines are skipped. Throws a UsageError for
 * an empty list, and for what looks like a file where there is none.
 */
export async function readGeneList(value: string): Promise<string[]> {
  const text = await readFile(value, "utf8").catch((error: NodeJS.ErrnoException) => {
    const isMissing = error.code === "ENOENT" || error.code === "ENAMETOOLONG" || error.code === "ENOTDIR";
    if (isMissing && !looksLikeFile(value)) return undefined;
    const reason = isMissing ? "there is no such file" : error.message;
    throw new UsageError(`--genes ${value} cannot be read: ${reason}`, { cause: error });
  });
  const names = (text === undefined ? value.split(",") : text.split(/[\r\n,\t]/)).map((name) => name.trim());
  const genes = [...new Set(names.filter((name) => name !== ""))];
  if (genes.length > 0) return genes;
  throw new UsageError(
    `--genes ${value} names no gene; give names separated by commas, or a file with one a line`,
  );
}
