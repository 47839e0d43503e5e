import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { isUrl } from "../io/content.js";
import { mapFewAtOnce } from "../io/few_at_once.js";
import type { Found } from "./find_cells.js";

/** Paths that a note lists. */
const MOST_NAMED = 5;

/**
 * What was found, each once, and a note on what was named more often: by the same path, by another that leads to the same
 * place, or by a folder that is read whole.
 */
export async function withoutRepeats(
  found: readonly Found[],
): Promise<{ readonly found: Found[]; readonly notes: string[] }> {
  const places = await mapFewAtOnce(found, ({ path }) =>
    isUrl(path) ? Promise.resolve(path) : realpath(path),
  );
  const all = new Set(places);
  const taken = new Set<string>();
  const repeated = new Set<string>();
  const once = found.filter(({ path }, i) => {
    const place = places[i] ?? path;
    const isNew = !taken.has(place) && (isUrl(path) || !foldersAbove(place).some((above) => all.has(above)));
    if (isNew) taken.add(place);
    else repeated.add(path);
    return isNew;
  });
  if (repeated.size === 0) return { found: once, notes: [] };
  const listed =
    [...repeated].slice(0, MOST_NAMED).join(", ") +
    (repeated.size > MOST_NAMED ? `, ... (${repeated.size})` : "");
  return { found: once, notes: [`named more than once, read once: ${listed}`] };
}

function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let at = path; at !== dirname(at); at = dirname(at)) folders.push(dirname(at));
  return folders;
}
