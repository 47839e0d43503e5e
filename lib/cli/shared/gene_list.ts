import { DdscError } from "../../base/errors.js";
import { readWhole } from "../../base/regular_files.js";
import { geneHint } from "../../tokenizer/gene_suggestion.js";
import type { GeneMapping, GeneVocabulary } from "../../tokenizer/index.js";
import { SPECIAL_GENES } from "../../tokenizer/ragged_batch.js";
import type { Output } from "./output.js";
import { UsageError } from "./usage_error.js";

/** More than all names of a million genes take. */
const MAX_LIST_BYTES = 64 * 2 ** 20;

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
  const text = await readWhole(value, MAX_LIST_BYTES).then(String, (error: NodeJS.ErrnoException) => {
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

/** Unknown genes that a note names. */
const MOST_NAMED = 10;

/** How genes of `--genes` are looked up. */
export interface GeneSearch {
  readonly vocabulary: GeneVocabulary;
  /** The file that must have measured them; undefined where there is none. */
  readonly mapping?: GeneMapping;
  /** Leave out unknown ones with a note. */
  readonly skipUnknown: boolean;
  readonly output: Output;
}

/** Genes of `--genes` that are known. */
export interface ListedGenes {
  readonly names: string[];
  /** Their ids in the vocabulary. */
  readonly ids: Int32Array;
  /** Names that were left out. */
  readonly skipped: string[];
}

/**
 * Looks listed genes up. Throws `GENE_UNKNOWN` for one that the model or the file lacks or, with `skipUnknown`, where no other
 * is left.
 */
export function findListedGenes(listed: readonly string[], search: GeneSearch): ListedGenes {
  const { vocabulary, mapping, skipUnknown, output } = search;
  const measured = mapping === undefined ? undefined : new Set(mapping.measured);
  const names: string[] = [];
  const ids: number[] = [];
  const skipped: string[] = [];
  for (const name of listed) {
    const id = vocabulary.find(name);
    const isKnown = id !== undefined && id >= SPECIAL_GENES.length;
    if (isKnown && (measured?.has(id) ?? true)) {
      names.push(name);
      ids.push(id);
    } else if (skipUnknown) {
      skipped.push(name);
    } else {
      const lacking = isKnown ? mapping?.sourceName : "the model's vocabulary";
      const hint = isKnown ? { text: "", remedy: "leave it out" } : geneHint(name, vocabulary);
      throw new DdscError(
        "GENE_UNKNOWN",
        `gene "${name}" of --genes is not in ${lacking}${hint.text}; ${hint.remedy}, or pass --skip-unknown to leave out all such genes`,
        { argument: "--genes", gene: name },
      );
    }
  }
  const where = `the model's vocabulary${mapping === undefined ? "" : ` and ${mapping.sourceName}`}`;
  const named = skipped.slice(0, MOST_NAMED).join(", ") + (skipped.length > MOST_NAMED ? ", ..." : "");
  if (names.length === 0) {
    const text = `none of the ${listed.length} genes of --genes is in ${where}: ${named}; name others`;
    throw new DdscError("GENE_UNKNOWN", text, { argument: "--genes" });
  }
  if (skipped.length > 0)
    output.note(`left out ${skipped.length} of ${listed.length} genes of --genes, not in ${where}: ${named}`);
  return { names, ids: Int32Array.from(ids), skipped };
}
