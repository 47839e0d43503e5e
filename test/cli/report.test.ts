import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SmallStudy, smallStudy } from "../report/small_report.js";
import { ddsc } from "./program.js";

let study: SmallStudy;
beforeAll(async () => {
  study = await smallStudy();
});
afterAll(() => rm(study.folder, { recursive: true }));

describe("ddsc report", () => {
  it("writes the page, says what is being done and ends with the verdict", async () => {
    const out = join(study.folder, "a.html");
    const { code, stdout, stderr, json } = await ddsc("report", study.run, "--out", out, "--json");
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    expect(stderr).toMatch(/^\d+% {2}scoring held-out cells$/m);
    expect(stderr).toMatch(/^\d+% {2}generating cells$/m);
    expect(stdout).toContain(`${out}: `);
    expect(stdout).toMatch(/^With 50% of the genes hidden the model /m);
    expect(json()).toMatchObject({ model: study.run, out, png: [], gif: null, leftOut: {} });
    expect(await readFile(out, "utf8")).toMatch(/^<!doctype html>/);
    const again = await ddsc("report", study.run, "--out", out);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("FILE_EXISTS");
    expect(again.stderr).toContain("--overwrite");
  }, 60_000);

  it("refuses what is no run, what is no page, and too few cells", async () => {
    const none = await ddsc("report", join(study.folder, "none"), "--out", join(study.folder, "b.html"));
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("CHECKPOINT_READ")]);
    const other = await ddsc("report", study.run, "--out", "b.h5ad");
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining("for --out but received b.h5ad")]);
    const few = await ddsc("report", study.run, "--cells", "3");
    expect([few.code, few.stderr]).toEqual([2, expect.stringContaining("--cells")]);
  }, 60_000);

  it("replaces its own page at the end of a demo, and goes on without one where it cannot be written", async () => {
    const out = join(study.folder, "demo.html");
    await writeFile(out, "an earlier one");
    const { code, stdout } = await ddsc("demo", "--short", "--quiet", "--out", out);
    expect(code).toBe(0);
    expect(stdout).toContain(`5. The report is in ${out}: open it in a browser.`);
    expect(await readFile(out, "utf8")).toContain("<h1>ddsc demo</h1>");
    const nowhere = await ddsc(
      "demo",
      "--short",
      "--quiet",
      "--out",
      join(study.folder, "none", "demo.html"),
    );
    expect([nowhere.code, nowhere.stderr]).toEqual([0, expect.stringContaining("there is no report: ")]);
  }, 120_000);
});
