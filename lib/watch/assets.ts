import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PAGE } from "./page.js";
import { STYLE } from "./style.js";

/** A file of the page. */
export interface Asset {
  readonly type: string;
  readonly body: string | Buffer;
}

const SCRIPT = "text/javascript; charset=utf-8";
const SHEET = "text/css; charset=utf-8";

/** The files of the page by their paths; nothing else is ever served. */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const uplot = dirname(createRequire(import.meta.url).resolve("uplot"));
  const of = async (type: string, name: string): Promise<Asset> => ({
    type,
    body: await readFile(join(uplot, name)),
  });
  return new Map<string, Asset>([
    ["/", { type: "text/html; charset=utf-8", body: PAGE }],
    ["/style.css", { type: SHEET, body: STYLE }],
    ["/uplot.js", await of(SCRIPT, "uPlot.iife.min.js")],
    ["/uplot.css", await of(SHEET, "uPlot.min.css")],
    ...(await clientScripts()),
  ]);
}

/** The page's own modules: as they were built, or of the sources, from which tests and development tools run. */
async function clientScripts(): Promise<[string, Asset][]> {
  const folder = fileURLToPath(new URL("client/", import.meta.url));
  const scripts = (await readdir(folder)).filter((name) => /^[a-z_]+\.[jt]s$/.test(name));
  return Promise.all(
    scripts.map(async (name): Promise<[string, Asset]> => {
      const text = await readFile(join(folder, name), "utf8");
      const body = name.endsWith(".ts") ? await asScript(text) : text;
      return [`/client/${name.replace(/\.ts$/, ".js")}`, { type: SCRIPT, body }];
    }),
  );
}

async function asScript(source: string): Promise<string> {
  const { transform } = await import("esbuild");
  return (await transform(source, { loader: "ts", format: "esm" })).code;
}
