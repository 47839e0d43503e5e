import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ended } from "../cli/program.js";
import { isBuilt } from "../node_program.js";

const ROOT = join(import.meta.dirname, "../..");
const NOTEBOOK = join(ROOT, "examples/notebook.ipynb");

interface Output {
  readonly output_type: string;
  readonly data?: Readonly<Record<string, string | readonly string[]>>;
}

interface Notebook {
  readonly cells: readonly {
    readonly cell_type: string;
    readonly source: readonly string[];
    readonly outputs?: readonly Output[];
  }[];
}

/** Whether Jupyter is there and knows Deno's kernel. */
function hasKernel(): boolean {
  const { status, stdout } = spawnSync("jupyter", ["kernelspec", "list", "--json"], { encoding: "utf8" });
  if (status !== 0) return false;
  const found = JSON.parse(stdout) as { readonly kernelspecs: Readonly<Record<string, unknown>> };
  return "deno" in found.kernelspecs;
}

const notebook = JSON.parse(await readFile(NOTEBOOK, "utf8")) as Notebook;
const code = notebook.cells.filter(({ cell_type }) => cell_type === "code");

/** A folder of a user's, with the package beside it. */
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-notebook-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(ROOT, join(folder, "node_modules/ddsc"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
});
afterAll(() => rm(folder, { recursive: true }));

describe("the example notebook", () => {
  it("is kept without outputs", () => {
    expect(code.length).toBeGreaterThan(4);
    for (const cell of code) expect(cell.outputs).toEqual([]);
  });
});

describe.skipIf(!isBuilt)("the example notebook, with the built package", () => {
  it("runs cell after cell as a program for Node, and its results have what a notebook shows", async () => {
    const shown = ["training", "scores", "figure", "comparison"];
    const program = [
      ...code.map(({ source }) => source.join("")),
      'const display = Symbol.for("Jupyter.display");',
      `for (const value of [${shown.join(", ")}]) console.log(JSON.stringify(await value[display]()));`,
      "console.log(JSON.stringify(Object.keys(scores)));",
      'await (await import("node:fs/promises")).rm(folder, { recursive: true });',
    ];
    await writeFile(join(folder, "notebook.mjs"), program.join("\n\n"));
    const {
      code: exit,
      stdout,
      stderr,
    } = await ended(spawn(process.execPath, ["notebook.mjs"], { cwd: folder }));
    expect([exit, stderr]).toEqual([0, ""]);
    const [training, scores, figure, comparison, keys] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
    expect(training?.["text/html"]).toMatch(/<svg [\s\S]*<\/svg>[\s\S]*<table>/);
    expect(scores?.["text/html"]).toMatch(
      /<strong>With 50% of the genes hidden the model [\s\S]*<table>[\s\S]*<svg /,
    );
    expect(scores?.["text/plain"]).toContain("nats a hidden gene");
    expect(figure?.["image/svg+xml"]).toMatch(/^<svg /);
    expect(comparison?.["text/html"]).toMatch(/<strong>generated cells [\s\S]*<table>[\s\S]*<svg /);
    // What is shown is no part of the result.
    expect(keys).toEqual(expect.arrayContaining(["model", "likelihood", "verdict", "notes"]));
  });

  it.skipIf(!hasKernel())(
    "runs in Deno's kernel (skipped where Jupyter or the kernel is not there)",
    async () => {
      await writeFile(join(folder, "notebook.ipynb"), await readFile(NOTEBOOK));
      const { code: exit, stderr } = await ended(
        spawn("jupyter", ["execute", "notebook.ipynb", "--output=done"], { cwd: folder }),
      );
      expect([exit, exit === 0 ? "" : stderr]).toEqual([0, ""]);
      const done = JSON.parse(await readFile(join(folder, "done.ipynb"), "utf8")) as Notebook;
      const outputs = done.cells.flatMap((cell) => cell.outputs ?? []);
      expect(outputs.filter(({ output_type }) => output_type === "error")).toEqual([]);
      const kinds = outputs.flatMap(({ data }) => Object.keys(data ?? {}));
      expect(kinds).toEqual(expect.arrayContaining(["text/html", "image/svg+xml", "text/plain"]));
    },
  );
});
