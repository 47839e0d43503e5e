import { readdir } from "node:fs/promises";
import { join } from "node:path";

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
  const found = new Set<string>();
  for (const single of expandBraces(pattern)) {
    const root = single.startsWith("/") ? "/" : "";
    const names = single.split("/").filter((name) => name !== "");
    for (const path of await walk(root, names)) found.add(path);
  }
  return [...found].sort();
}

/** `a{b,c}d` as `abd` and `acd`; braces may hold braces. One that is not closed stands for itself. */
function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf("{");
  let depth = 0;
  const cuts = [open];
  for (let at = open; open >= 0 && at < pattern.length; at++) {
    if (pattern[at] === "{") depth++;
    if (pattern[at] === "," && depth === 1) cuts.push(at);
    if (pattern[at] === "}" && --depth === 0) {
      cuts.push(at);
      const [before, after] = [pattern.slice(0, open), pattern.slice(at + 1)];
      return cuts
        .slice(1)
        .flatMap((cut, i) => expandBraces(before + pattern.slice((cuts[i] ?? 0) + 1, cut) + after));
    }
  }
  return [pattern];
}

/** Paths below a folder that names with wildcards fit, one name a level. */
async function walk(folder: string, [name, ...rest]: readonly string[]): Promise<string[]> {
  if (name === undefined) return [folder];
  if (name !== "**" && !isGlob(name)) {
    const path = join(folder, name);
    // Whether it is there is seen where its name is the last.
    return rest.length > 0
      ? walk(path, rest)
      : (await namesIn(folder)).has(name) || isDots(name)
        ? [path]
        : [];
  }
  const entries = await namesIn(folder);
  if (name === "**") {
    const here = await walk(folder, rest);
    const folders = [...entries].filter(([entry, isFolder]) => isFolder && !entry.startsWith("."));
    const below = await Promise.all(folders.map(([entry]) => walk(join(folder, entry), ["**", ...rest])));
    return [...here, ...below.flat()];
  }
  const fits = matcher(name);
  const matching = [...entries.keys()].filter(
    (entry) => fits.test(entry) && (name.startsWith(".") || !entry.startsWith(".")),
  );
  const below = await Promise.all(matching.map((entry) => walk(join(folder, entry), rest)));
  return below.flat();
}

function isDots(name: string): boolean {
  return name === "." || name === "..";
}

/** Names in a folder and whether each is a folder; none where it cannot be read. */
async function namesIn(folder: string): Promise<Map<string, boolean>> {
  const entries = await readdir(folder === "" ? "." : folder, { withFileTypes: true }).catch(() => []);
  return new Map(entries.map((entry) => [entry.name, entry.isDirectory()]));
}

/** The names that one part of a pattern fits. */
function matcher(name: string): RegExp {
  const source = name.replace(
    /\*+|\?|\[(!?)([^\]]+)\]|[\\^$.|+(){}[\]]/g,
    (found, not: string | undefined, set?: string) => {
      if (found.startsWith("*")) return ".*";
      if (found === "?") return ".";
      if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\^\]]/g, "\\$&")}]`;
      return `\\${found}`;
    },
  );
  return new RegExp(`^${source}$`, "su");
}
