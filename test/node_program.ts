import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LIB = join(ROOT, "lib") + sep;
/** As deep as the tests' own folders, so that what a program finds beside itself it finds from there. */
const FOLDER = join(ROOT, "build", "test-programs");

/** When the newest source changed, or when the build was made (0: there is none), milliseconds. */
function changedAt(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => changedAt(join(path, name))));
}

/** Whether dist is there and newer than its sources. */
export const isBuilt = changedAt(join(ROOT, "dist/cli/main.js")) > changedAt(LIB);

/** Takes the package's modules from dist instead of bundling their sources. */
const fromDist: Plugin = {
  name: "dist",
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ resolveDir, path }) => {
      const file = resolve(resolveDir, path);
      if (!file.startsWith(LIB)) return undefined;
      return { path: join(ROOT, "dist", file.slice(LIB.length)).replace(/\.ts$/, ".js"), external: true };
    });
  },
};

async function bundled(entry: BuildOptions): Promise<string> {
  const { outputFiles } = await build({
    ...entry,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    plugins: [fromDist],
    write: false,
  });
  const text = outputFiles?.[0]?.text ?? "";
  const name = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const file = join(FOLDER, `${name}.mjs`);
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) return file;
  mkdirSync(FOLDER, { recursive: true });
  // Beside, then renamed: several tests may start the same program.
  const beside = join(FOLDER, `${randomUUID()}.tmp`);
  writeFileSync(beside, text);
  renameSync(beside, file);
  return file;
}

/**
 * The words with which Node runs a program in TypeScript that uses the package's sources. Where they are built, it runs on the
 * build, which starts in a third of the time; else through tsx.
 */
export async function nodeProgram(file: string | URL): Promise<string[]> {
  const path = typeof file === "string" ? file : fileURLToPath(file);
  return isBuilt ? [await bundled({ entryPoints: [path] })] : ["--import", "tsx", path];
}

/** The same for the text of a program, whose imports are taken from the repository's root. */
export async function nodeProgramOf(text: string): Promise<string[]> {
  if (!isBuilt) return ["--import", "tsx", "--input-type=module", "--eval", text];
  return [await bundled({ stdin: { contents: text, resolveDir: ROOT, loader: "ts" } })];
}
