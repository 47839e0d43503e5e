import { distance } from "fastest-levenshtein";

/** Known words within two fifths of the letters of a word, in any case; the nearest first. */
export function nearWords(word: string, known: readonly string[]): string[] {
  const lower = word.toLowerCase();
  return known
    .map((candidate) => ({ candidate, edits: distance(lower, candidate.toLowerCase()) }))
    .filter(({ candidate, edits }) => edits <= 0.4 * Math.max(word.length, candidate.length))
    .sort((a, b) => a.edits - b.edits)
    .map(({ candidate }) => candidate);
}

/** ` (did you mean "x"?)` for the nearest known word, as `nearWords` finds it, otherwise empty. */
export function didYouMean(word: string, known: readonly string[]): string {
  const [best] = nearWords(word, known);
  return best === undefined ? "" : ` (did you mean "${best}"?)`;
}
