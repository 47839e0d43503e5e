import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Contents of all sources below a folder; tests, and the emulator that only they run on, left out. */
function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(ts|cpp|h|cu|cuh)$/.test(name) && !/^(test|cuda\/emulator)\//.test(name))
    .map((name) => readFileSync(join(ROOT, folder, name), "utf8"));
}

/** Where codes stand: the first argument of an error or of what makes one. */
const THROWN = [
  /new DdscError\(\s*"([A-Z][A-Z0-9_]+)"/g,
  /\bError(?:\s+\w+)?[({]\s*"([A-Z]+_[A-Z0-9_]+)"/g,
  /require\([\s\S]{0,300}?,\s*"([A-Z]+_[A-Z0-9_]+)",/g,
  /(?:return|throw)\s*\{"([A-Z]+_[A-Z0-9_]+)"/g,
  /\?\? "([A-Z]+_[A-Z0-9_]+)",/g,
  /: "(INTERNAL)"/g,
  /super\("([A-Z]+)"/g,
];

const documented = [
  ...readFileSync(join(ROOT, "docs/errors.md"), "utf8").matchAll(/^\| `([A-Z_]+)` \|/gm),
].map(([, code]) => code!);
const text = ["lib", "native", "scripts", "bench"].flatMap(sources);
const thrown = new Set(
  text.flatMap((source) => THROWN.flatMap((form) => [...source.matchAll(form)].map(([, code]) => code!))),
);

describe("docs/errors.md", () => {
  it("lists every code that is thrown", () => {
    expect(thrown.size).toBeGreaterThan(40);
    expect([...thrown].filter((code) => !documented.includes(code)).sort()).toEqual([]);
  });

  it("lists no code that nothing throws", () => {
    const quoted = new Set(
      text.flatMap((source) => [...source.matchAll(/"([A-Z][A-Z0-9_]+)"/g)].map(([, code]) => code!)),
    );
    expect(documented.filter((code) => !quoted.has(code))).toEqual([]);
  });

  it("is in alphabetical order, each code once", () => {
    expect(documented).toEqual([...new Set(documented)].sort());
  });
});
