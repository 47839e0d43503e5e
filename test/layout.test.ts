import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..");
/** Files that a reader can still look over in one folder. */
const MOST_FILES = 30;

function* folders(path: string): Generator<{ path: string; files: number }, void, undefined> {
  const entries = readdirSync(path, { withFileTypes: true });
  yield { path, files: entries.filter((entry) => entry.isFile()).length };
  for (const entry of entries) if (entry.isDirectory()) yield* folders(join(path, entry.name));
}

describe("layout", () => {
  it.each(["lib", "native"])("no folder of %s holds more than 30 files directly", (name) => {
    const crowded = [...folders(join(ROOT, name))].filter(({ files }) => files > MOST_FILES);
    expect(crowded).toEqual([]);
  });
});
