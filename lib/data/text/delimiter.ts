/** Delimiters that are looked for. */
const DELIMITERS = ["\t", ",", ";", "|"];

/**
 * The delimiter of a text, told from its beginning: the one that occurs most often in the first line (which need not be
 * whole), outside double quotes. Undefined for text without any.
 */
export function findDelimiter(head: string): string | undefined {
  const counts = new Map(DELIMITERS.map((delimiter) => [delimiter, 0]));
  let quoted = false;
  for (const character of head) {
    if (character === "\n" && !quoted) break;
    if (character === '"') quoted = !quoted;
    else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most === undefined || most[1] === 0 ? undefined : most[0];
}
