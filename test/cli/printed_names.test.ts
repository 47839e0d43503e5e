import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { textCategories } from "../../lib/data/sources/frame.js";
import { ddsc } from "./program.js";

/** Sets a title, clears the screen, and pretends to be a line of its own; read from right to left. */
const EVIL = "\u001b]0;owned\u0007\u001b[2J\rok\nddsc: done \u202egnp.\u2066\u0085";
/** Anything that is no plain text or line end. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cli-"));
  data = join(folder, `cells${EVIL.replaceAll("\u0000", "")}.h5ad`);
  const values = Float32Array.of(1, 2, 3, 4);
  await writeH5ad(data, {
    obs: {
      index: [`cell${EVIL}`, "other"],
      indexName: "_index",
      columns: new Map([[`type${EVIL}`, textCategories([`T${EVIL}`, "B"])]]),
    },
    var: {
      index: [`Sox2${EVIL}`, "Pax6"],
      indexName: "_index",
      columns: new Map([[`gene${EVIL}`, textCategories([`A${EVIL}`, "B"])]]),
    },
    X: { kind: "dense", values },
    layers: { [`layer${EVIL}`]: { kind: "dense", values } },
    uns: { [`note${EVIL}`]: "x" },
  });
});
afterAll(() => rm(folder, { recursive: true }));

it.each([
  ["a file that is looked at", () => ["inspect", data]],
  ["the same as JSON", () => ["inspect", data, "--json"]],
  ["what is not copied", () => ["convert", data, "--out", join(folder, "copy.h5ad"), "--json"]],
  ["a file that is not there", () => ["inspect", join(folder, `none${EVIL}`)]],
  ["an unknown option", () => ["inspect", data, `--${EVIL}`, "--json"]],
  ["an unknown command", () => [EVIL]],
  ["help about one", () => ["help", EVIL]],
  ["the value of an option", () => ["inspect", data, "--where", EVIL]],
  ["a layer that is not there", () => ["inspect", data, "--layer", EVIL, "--debug"]],
])("names in %s do nothing to a terminal and begin no line", async (_what, words) => {
  const { stdout, stderr, code } = await ddsc(...words());
  expect(code).not.toBe(null);
  for (const text of [stdout, stderr]) {
    expect(text).not.toMatch(CONTROLS);
    expect(text).not.toMatch(/^ddsc: done/m);
  }
  expect(stdout + stderr).toContain("\\u001b");
});
