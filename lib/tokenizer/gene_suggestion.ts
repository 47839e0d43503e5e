import { didYouMean } from "../base/suggest.js";
import { SPECIAL_GENES } from "./ragged_batch.js";
import type { GeneVocabulary } from "./vocabulary.js";

/** Identifiers of databases, such as Ensembl's: any two are a few digits apart, which says nothing. */
const NUMBERED = /\d{5}/;

/**
 * ` (did you mean "FTL"?)` for a name that no gene has: the name that differs in case alone, otherwise the nearest
 * symbol; empty where none is near.
 */
export function didYouMeanGene(name: string, vocabulary: Pick<GeneVocabulary, "entries">): string {
  const names = vocabulary.entries
    .slice(SPECIAL_GENES.length)
    .flatMap(({ token, aliases }) => [token, ...aliases]);
  const lower = name.toLowerCase();
  const same = names.find((known) => known.toLowerCase() === lower);
  if (same !== undefined) return ` (did you mean "${same}"?)`;
  if (NUMBERED.test(name)) return "";
  return didYouMean(
    name,
    names.filter((known) => !NUMBERED.test(known)),
  );
}
