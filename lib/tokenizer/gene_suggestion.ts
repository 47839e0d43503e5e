import { nearWords } from "../base/suggest.js";
import { SPECIAL_GENES } from "./ragged_batch.js";
import type { GeneVocabulary } from "./vocabulary.js";

/** Identifiers of databases, such as Ensembl's: any two are a few digits apart, which says nothing. */
const NUMBERED = /\d{5}/;
/** Genes that are listed because their names are similar. */
const MOST_LISTED = 3;

/** What to say about a name that no gene has. */
export interface GeneHint {
  /** Begins with a blank; empty where no name is near. */
  readonly text: string;
  /** What to do, up to "leave it out". */
  readonly remedy: string;
}

/**
 * What a name that no gene has may be meant for. A correction differs in case, punctuation or version, or else in letters, never
 * in a digit: CD4 and CD74 are two genes. Genes whose digits differ are listed as others that are named alike.
 */
export function geneHint(name: string, vocabulary: Pick<GeneVocabulary, "entries">): GeneHint {
  const names = vocabulary.entries
    .slice(SPECIAL_GENES.length)
    .flatMap(({ token, aliases }) => [token, ...aliases]);
  const correction = (meant: string): GeneHint => ({
    text: ` (did you mean "${meant}"?)`,
    remedy: "correct it, or leave it out",
  });
  const lower = name.toLowerCase();
  const plain = plainName(name);
  const same =
    names.find((known) => known.toLowerCase() === lower) ?? names.find((known) => plainName(known) === plain);
  if (same !== undefined) return correction(same);
  const near = NUMBERED.test(name)
    ? []
    : nearWords(
        name,
        names.filter((known) => !NUMBERED.test(known)),
      );
  const digits = digitsOf(name);
  const meant = near.find((known) => digitsOf(known) === digits);
  if (meant !== undefined) return correction(meant);
  const listed = near.slice(0, MOST_LISTED).join(", ");
  return {
    text: listed === "" ? "" : ` (other genes with similar names: ${listed})`,
    remedy: "leave it out",
  };
}

/** A name without case, punctuation and the version of an identifier (`ENSG00000141510.5`). */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^(ens\w*\d{5,})\.\d+$/, "$1")
    .replace(/[^a-z0-9]/g, "");
}

/** The numbers in a name, which tell members of a family apart. */
function digitsOf(name: string): string {
  return (name.match(/\d+/g) ?? []).join(" ");
}
