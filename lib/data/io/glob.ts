import { glob } from "glob";

const SPECIAL = /[*?[{]/;

/** Whether a path holds a wildcard: *, ?, [ or {. */
export function isGlob(path: string): boolean {
  return SPECIAL.test(path);
}

/**
 * Paths that a pattern with wildcards fits, in alphabetical order: `*` stands for any characters of one name, `?` for one,
 * `[a-c]` for one of some, `{a,b}` for either, `**` for any folders. Names that begin with a dot are found only by a dot.
 */
export async function expandGlob(pattern: string): Promise<string[]> {
  // Not tinyglobby, which passes over links to folders: folders of samples often are links.
  const found = await glob(pattern.replaceAll("\\", "\\\\"), { noext: true });
  return found.sort();
}
