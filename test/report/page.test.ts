import { readFile, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reportFile } from "../../lib/index.js";
import { noBrowser, openFile, startBrowser } from "./browser.js";
import { type SmallStudy, smallStudy } from "./small_report.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** A name that would run, were it not escaped. */
const SCRIPT = "<script>window.hostile=1</script><img src=x onerror=window.hostile=2>";
const LONG = "x".repeat(2 ** 20);

describe.skipIf(noBrowser !== undefined)(`a report in a browser${noBrowser ? ` (${noBrowser})` : ""}`, () => {
  let study: SmallStudy;
  let file: string;
  let browser: Browser;
  beforeAll(async () => {
    study = await smallStudy();
    file = join(study.folder, "report.html");
    await reportFile({ model: study.run, out: file });
    browser = await startBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await rm(study.folder, { recursive: true });
  });

  for (const width of [1400, 390]) {
    for (const scheme of ["light", "dark"] as const) {
      it(`has no error, no request and nothing that axe finds, ${width} pixels wide and ${scheme}`, async () => {
        const { page, errors, requests } = await openFile(browser, file, { width, scheme });
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
        expect(await page.locator("figure").count()).toBeGreaterThanOrEqual(14);
        for (const details of await page.locator("details").all())
          await details.evaluate((element) => element.setAttribute("open", ""));
        expect([errors, requests]).toEqual([[], []]);
        // The policy forbids the page scripts of others, so axe runs outside of it.
        const context = await page.context().newCDPSession(page);
        await context.send("Page.setBypassCSP", { enabled: true });
        await page.reload();
        await page.evaluate(await readFile(AXE, "utf8"));
        const { violations } = (await page.evaluate("axe.run(document)")) as {
          violations: { id: string; nodes: { html: string }[] }[];
        };
        expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
        await page.close();
      }, 60_000);
    }
  }

  it("goes through the steps of the filling-in from the keyboard, and plays them", async () => {
    const { page, errors } = await openFile(browser, file);
    const figure = page.locator("#figure-filling");
    const picture = () => figure.locator(".wide svg").innerHTML();
    const end = await picture();
    const range = figure.locator("input[type=range]");
    await range.focus();
    await page.keyboard.press("Home");
    expect(await figure.locator("output").textContent()).toMatch(/^0 of \d+$/);
    const begin = await picture();
    expect(begin).not.toBe(end);
    await page.keyboard.press("ArrowRight");
    expect(await figure.locator("output").textContent()).toMatch(/^1 of /);
    await page.keyboard.press("End");
    expect(await picture()).toBe(end);
    await figure.locator("button").focus();
    await page.keyboard.press("Enter");
    expect(await figure.locator("button").textContent()).toBe("Pause");
    await expect.poll(() => figure.locator("output").textContent()).toMatch(/^2 of /);
    await page.keyboard.press("Enter");
    expect(await figure.locator("button").textContent()).toBe("Play");
    expect(errors).toEqual([]);
    await page.close();
  }, 60_000);

  it("shows the end of the filling-in where no script runs", async () => {
    const { page } = await openFile(browser, file, { script: false });
    expect(await page.locator("#figure-filling .wide svg").isVisible()).toBe(true);
    expect(await page.locator("#figure-filling .player").isVisible()).toBe(false);
    await page.close();
  }, 60_000);

  it("is printed in light colours, without what only a screen can do", async () => {
    const { page } = await openFile(browser, file, { scheme: "dark" });
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
    expect(await page.locator("nav").isVisible()).toBe(false);
    expect(await page.locator(".player").first().isVisible()).toBe(false);
    expect((await page.pdf()).subarray(0, 5).toString()).toBe("%PDF-");
    await page.close();
  }, 60_000);

  it("takes names for text, whatever is in them, and cuts long ones", async () => {
    const hostile = await smallStudy({
      name: "<img src=x onerror=alert(1)>",
      types: [SCRIPT, LONG],
      genes: (id) => (id.endsWith("1") ? `${id}${LONG}` : `${id}${SCRIPT}`),
    });
    try {
      const out = join(hostile.folder, "report.html");
      const { bytes } = await reportFile({ model: hostile.run, out });
      expect(bytes).toBeLessThan(3_000_000);
      const { page, errors, requests } = await openFile(browser, out);
      expect([errors, requests]).toEqual([[], []]);
      expect(await page.evaluate("window.hostile")).toBeUndefined();
      expect(await page.locator("img").count()).toBe(0);
      expect(await page.locator("h1").textContent()).toBe("<img src=x onerror=alert(1)>");
      expect(await page.locator("body").textContent()).toContain("<script>window.hostile=1");
      await page.close();
      expect(await readFile(out, "utf8")).not.toContain("x".repeat(1000));
    } finally {
      await rm(hostile.folder, { recursive: true });
    }
  }, 120_000);

  it("is one file of less than 3 MB", async () => {
    expect((await stat(file)).size).toBeLessThan(3_000_000);
  });
});
