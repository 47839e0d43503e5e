import { type ChildProcess, spawn } from "node:child_process";
import { appendFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RunsPage, watchRuns } from "../../lib/watch/index.js";
import { nodeProgram } from "../node_program.js";
import { barriersOf, misdeedsOf, noBrowser, startBrowser } from "./browser.js";
import { line, lines, writeRun } from "./runs.js";

const trainer = await nodeProgram(new URL("../training/run_child.ts", import.meta.url));
/** More than a test waits for. */
const ENDLESS = 100_000;

describe.skipIf(noBrowser !== undefined)("the page of ddsc watch, in a real browser", () => {
  let browser: Browser;
  let folder: string;
  let server: RunsPage;
  let page: Page;
  let misdeeds: string[];
  let child: ChildProcess | undefined;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "ddsc-page-"));
    server = await watchRuns([folder], { port: 0 });
    page = await browser.newPage();
    misdeeds = misdeedsOf(page, server.address.slice(0, -1));
  });
  afterEach(async () => {
    child?.kill("SIGKILL");
    child = undefined;
    await page.close();
    await server.close();
    await rm(folder, { recursive: true });
  });

  const open = () => page.goto(server.address);
  const row = (name: string) => page.locator("#runs tbody tr").filter({ hasText: join(folder, name) });
  const cell = (name: string, column: string) => row(name).locator(`[data-label="${column}"]`).innerText();
  /** Steps done, as the table says. */
  const stepOf = async (name: string) =>
    Number(/^[\d,]+/.exec(await cell(name, "Step"))?.[0].replaceAll(",", ""));
  const chart = (title: string) => page.getByRole("img", { name: title });

  it.each([
    [1400, "light"],
    [390, "dark"],
  ] as const)(
    "shows runs, their curves and notes without a barrier, %d pixels wide, %s",
    async (width, colorScheme) => {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      await writeRun(join(folder, "a"));
      await writeRun(join(folder, "b"), {
        end: "failed",
        error: { code: "TRAIN_DIVERGED", message: "the loss grew" },
        notes: [],
      });
      await open();
      await expect
        .poll(() => chart("Training loss").getAttribute("aria-label"))
        .toMatch(/a 1\.\d+ at step 20; .*b 1\./);
      expect(await chart("Validation").getAttribute("aria-label")).toMatch(
        /a 1\.5000 at step 20; .*a: negative binomial at depth 1\.7500/,
      );
      expect(await cell("a", "Validation")).toContain("0.2500 below the baseline");
      expect(await cell("a", "Memory")).toContain("1.0 GiB");
      expect(await cell("a", "Checkpoint")).toContain("step 20");
      expect(await page.locator("#notes").innerText()).toMatch(/a note[\s\S]*TRAIN_DIVERGED: the loss grew/);
      expect(await page.locator("canvas").count()).toBe(5);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
      expect(await barriersOf(page)).toEqual([]);
      expect(misdeeds).toEqual([]);
    },
  );

  it("shows and hides a run by keyboard, and keeps that when it connects again", async () => {
    await writeRun(join(folder, "a"));
    await writeRun(join(folder, "b"));
    await open();
    await expect.poll(() => chart("Training loss").getAttribute("aria-label")).toContain(join(folder, "b"));
    await row("b").getByRole("checkbox").press("Space");
    await expect
      .poll(() => chart("Training loss").getAttribute("aria-label"))
      .not.toContain(join(folder, "b"));
    await page.getByLabel("Smoothing").press("Home");
    await expect.poll(() => chart("Training loss").getAttribute("aria-label")).toContain("1.0500 at step 20");
    await server.close();
    server = await watchRuns([folder], { port: server.port });
    await expect.poll(() => page.locator("#connection").innerText(), { timeout: 20_000 }).toBe("live");
    expect(await chart("Training loss").getAttribute("aria-label")).not.toContain(join(folder, "b"));
  });

  it("shows a run that begins, moves, is killed and goes on, in one curve", async () => {
    await open();
    await expect.poll(() => page.locator("#notice").innerText()).toContain("no run yet");
    const train = () => {
      const words = [...trainer, join(folder, "run"), String(ENDLESS), "ranks"];
      child = spawn(process.execPath, words, { stdio: "ignore" });
    };
    train();
    const wait = { timeout: 60_000 };
    await expect.poll(() => row("run").count(), wait).toBe(1);
    await expect.poll(() => stepOf("run"), wait).toBeGreaterThan(3);
    expect(await cell("run", "State")).toBe("training");
    const before = await stepOf("run");
    await expect.poll(() => stepOf("run"), wait).toBeGreaterThan(before);
    expect(await cell("run", "Time left")).toMatch(/\d/);
    await expect.poll(() => cell("run", "Baselines"), wait).toContain("gene marginal");

    child?.kill("SIGKILL");
    await expect.poll(() => cell("run", "State"), wait).toContain("its process is gone");
    const killedAt = await stepOf("run");
    train();
    await expect.poll(() => cell("run", "State"), wait).toBe("training");
    await expect.poll(() => stepOf("run"), wait).toBeGreaterThan(killedAt);
    expect(await row("run").count()).toBe(1);
    const described = await chart("Training loss").getAttribute("aria-label");
    expect(described?.split("at step")).toHaveLength(2);
    expect(misdeeds).toEqual([]);
  });

  it("left open, connects again when the server was started anew, and misses nothing", async () => {
    await writeRun(join(folder, "a"));
    await open();
    await expect.poll(() => row("a").count()).toBe(1);
    await expect.poll(() => stepOf("a")).toBe(20);
    const { port } = server;
    await server.close();
    await expect.poll(() => page.locator("#connection").innerText()).toContain("no connection");
    await appendFile(join(folder, "a", "metrics.jsonl"), lines(21, 40));
    server = await watchRuns([folder], { port });
    await expect.poll(() => page.locator("#connection").innerText(), { timeout: 20_000 }).toBe("live");
    await expect.poll(() => stepOf("a")).toBe(40);
    expect(await row("a").count()).toBe(1);
    // Chromium notes the connection that was refused in between, and nothing else.
    expect(misdeeds.filter((misdeed) => !misdeed.includes("net::ERR_"))).toEqual([]);
  });

  it("does nothing for what names and files of runs hold", async () => {
    const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    const name = '<img src=x onerror="alert(3)"><b>';
    const long = evil + "x".repeat(1_000_000);
    await mkdir(join(folder, name));
    await writeRun(join(folder, name), {
      notes: [evil, "</script><script>alert(4)</script>"],
      data: { name: evil, cells: 1, genes: 1 },
      device: evil,
      baselines: [{ name: evil, crossEntropy: 1 }],
      error: { code: evil, message: evil },
      end: "failed",
      metrics: `${line(21)}{"step":22,"loss":"${evil.replaceAll('"', "'")}"}\n${"y".repeat(2_000_000)}\n{"step":1e400}\n${line(23)}`,
    });
    await writeRun(join(folder, "large"), { notes: Array.from({ length: 40 }, () => long) });
    await open();
    await expect.poll(() => row(name).count()).toBe(1);
    await expect.poll(() => stepOf(name)).toBe(23);
    expect(await page.locator("#notes").innerText()).toContain("<script>alert(2)</script>");
    expect(await page.locator("img, b, main script").count()).toBe(0);
    expect((await page.locator("body").innerText()).length).toBeLessThan(20_000);
    expect(misdeeds).toEqual([]);
  });

  it("takes a run of 100,000 steps", async () => {
    await writeRun(join(folder, "long"), { metrics: lines(1, 100_000), steps: 200_000 });
    await open();
    await expect.poll(() => stepOf("long"), { timeout: 30_000 }).toBe(100_000);
    await expect.poll(() => chart("Speed").getAttribute("aria-label")).toContain("at step 100,000");
  });
});
