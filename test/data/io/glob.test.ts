import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
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

it("a pattern finds folders and what links lead to, by a relative path too, and takes parentheses as they are", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "runs (1)", "cells.zarr"), { recursive: true });
  writeFileSync(join(folder, "runs (1)", "a!b.x"), "");
  symlinkSync(join(folder, "runs (1)"), join(folder, "link"));
  symlinkSync(folder, join(folder, "runs (1)", "loop"));
  const runs = join(folder, "runs (1)");
  expect(await expandGlob(join(folder, "runs (1)", "*"))).toEqual([
    join(runs, "a!b.x"),
    join(runs, "cells.zarr"),
    join(runs, "loop"),
  ]);
  expect(await expandGlob(join(folder, "l*"))).toEqual([join(folder, "link")]);
  expect(await expandGlob(join(folder, "**", "*.zarr"))).toContain(join(runs, "cells.zarr"));
  expect(await expandGlob(join(folder, "l*", "*.x"))).toEqual([join(folder, "link", "a!b.x")]);
  const found = await expandGlob(join(relative(process.cwd(), folder), "r*", "?!*.x"));
  expect(found.map((path) => resolve(path))).toEqual([join(runs, "a!b.x")]);
  expect(await expandGlob("./tsconfig.b*")).toEqual(["tsconfig.build.json"]);
});

it("a plain path is no pattern", () => {
  expect(["a.x", "a+b (1).x", "C:/x"].some(isGlob)).toBe(false);
  expect(["*.x", "a?", "[a]", "{a}"].every(isGlob)).toBe(true);
});
