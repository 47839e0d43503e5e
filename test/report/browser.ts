import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** Why nothing can be shown in a browser; undefined where one is there. */
export const noBrowser = existsSync(CHROMIUM)
  ? undefined
  : `skipped: ${CHROMIUM} is not installed (apt-get install chromium, or set CHROMIUM to one)`;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts Chromium. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/** A page that was opened, and what it said and asked for while it was. */
export interface OpenPage {
  readonly page: Page;
  /** Errors of the console and of scripts. */
  readonly errors: readonly string[];
  /** Addresses of all requests but the one for the file itself. */
  readonly requests: readonly string[];
}

/** Opens a file. */
export async function openFile(
  browser: Browser,
  file: string,
  options: { readonly width?: number; readonly scheme?: "light" | "dark"; readonly script?: boolean } = {},
): Promise<OpenPage> {
  const { width = 1400, scheme = "light", script = true } = options;
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    javaScriptEnabled: script,
  });
  const errors: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  const own = pathToFileURL(file).href;
  page.on("request", (request) => {
    const url = request.url();
    if (url.split("#")[0] !== own && !url.startsWith("data:image/png")) requests.push(url);
  });
  await page.goto(own);
  return { page, errors, requests };
}
