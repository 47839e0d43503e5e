/**
 * The URL to give `new Worker(url)` for an entry module beside the one that starts it, in the built package (`.js`)
 * as well as in the TypeScript sources, from which tests and development tools run: there the URL is a small
 * program that registers tsx, which Node's `--import` flag does not do inside a worker, and then imports the `.ts`.
 *
 * @param specifier relative path of the entry as an import would name it, such as `"./prefetch_worker.js"`
 * @param importer `import.meta.url` of the calling module
 * @param importsLater whether the entry imports sources of ours while it runs; if not, tsx is taken away again, which would spend a second
 *   on each megabyte of a library that it imports
 */
export function workerUrl(specifier: string, importer: string, importsLater = true): URL {
  if (!new URL(importer).pathname.endsWith(".ts")) return new URL(specifier, importer);
  const api = import.meta.resolve("tsx/esm/api");
  const entry = new URL(specifier.replace(/\.js$/, ".ts"), importer).href;
  const program =
    `const { register } = await import(${JSON.stringify(api)});` +
    `const unregister = register(); await import(${JSON.stringify(entry)});${importsLater ? "" : "await unregister();"}`;
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`);
}
