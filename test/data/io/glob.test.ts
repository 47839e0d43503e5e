import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { expandGlob, isGlob } from "../../../lib/data/io/glob.js";
import { temporaryFolder } from "../support.js";

const FILES = ["a1.x", "a2.x", "b.y", "sub/a3.x", "sub/deep/a4.x", ".hidden/a5.x", "a+b.x", "[z].x"];

it("a pattern finds the paths it fits, in order", async () => {
  const folder = temporaryFolder();
  for (const file of FILES) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  const find = async (pattern: string) =>
    (await expandGlob(join(folder, pattern))).map((path) => path.slice(folder.length + 1));
  expect(await find("a*.x")).toEqual(["a+b.x", "a1.x", "a2.x"]);
  expect(await find("a?.x")).toEqual(["a1.x", "a2.x"]);
  expect(await find("a[2-9].x")).toEqual(["a2.x"]);
  expect(await find("a[!1+].x")).toEqual(["a2.x"]);
  expect(await find("{b,a1}.*")).toEqual(["a1.x", "b.y"]);
  expect(await find("{sub/{a3,none},b}.[xy]")).toEqual(["b.y", "sub/a3.x"]);
  expect(await find("**/a*.x")).toEqual(["a+b.x", "a1.x", "a2.x", "sub/a3.x", "sub/deep/a4.x"]);
  expect(await find("*/a3.x")).toEqual(["sub/a3.x"]);
  expect(await find(".h*/*")).toEqual([".hidden/a5.x"]);
  expect(await find("a+?.x")).toEqual(["a+b.x"]);
  expect(await find("none*")).toEqual([]);
  expect(await find("none/*")).toEqual([]);
});

it("a plain path is no pattern", () => {
  expect(["a.x", "a+b (1).x", "C:/x"].some(isGlob)).toBe(false);
  expect(["*.x", "a?", "[a]", "{a}"].every(isGlob)).toBe(true);
});
