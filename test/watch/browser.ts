/** A real browser for tests of pages, where one is installed. */
import { existsSync } from "node:fs";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";

/** Why there is no browser; undefined where there is one. */
export const noBrowser = existsSync(CHROMIUM)
  ? undefined
  : `${CHROMIUM} is not installed: pages are not tested in a browser`;
if (noBrowser !== undefined) console.warn(noBrowser);

/** Starts the browser. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
    ],
  });
}

/** What a page did that it should not: errors, dialogs, requests to elsewhere. */
export function misdeedsOf(page: Page, origin: string): string[] {
  const misdeeds: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") misdeeds.push(message.text());
  });
  page.on("pageerror", (error) => misdeeds.push(error.message));
  page.on("dialog", (dialog) => {
    misdeeds.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) misdeeds.push(`request of ${url}`);
  });
  return misdeeds;
}

/** What axe-core finds wrong with a page for readers who see, hear or type otherwise. */
export async function barriersOf(page: Page): Promise<string[]> {
  // Not as a script of the page, whose policy allows none but its own.
  await page.evaluate(axe.source);
  const found = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe.run(),
  );
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}
