import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OPTIONS } from "../../lib/cli/shared/options.js";
import { ended, writeStudy } from "../cli/program.js";
import { isBuilt } from "../node_program.js";

const ROOT = join(import.meta.dirname, "../..");
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const pages = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Contents of the fenced blocks of a language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, block]) => block!,
  );
}

/** Smaller, so that a test has the time for it. */
const SMALLER: readonly (readonly [string, string])[] = [
  ["--simulate 2000", "--simulate 240"],
  ["--steps 300", "--steps 3"],
  ["--cells 200", "--cells 24"],
  ["steps: 100", "steps: 2"],
  ["steps: 300", "steps: 3"],
  ["cells: 100", "cells: 4"],
  [" demo", " demo --short"],
];

/** What the program that goes step by step prints. */
const PRINTED = /^1 \d+\.\d+ \d+\.?\d*\n2 .*\n(GENE\d+ \d+ \d+\.?\d* 0?\.?\d+.*\n)+$/;

function smaller(text: string): string {
  return SMALLER.reduce((shorter, [long, short]) => shorter.replace(long, short), text);
}

describe("the README's tour", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ddsc-readme-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Runs Node with the package, built or not, in the tour's folder. */
  async function run(words: readonly string[]) {
    const tsconfig = isBuilt ? {} : { TSX_TSCONFIG_PATH: join(ROOT, "tsconfig.json") };
    // The build needs no loader of TypeScript, which takes a second and more to start.
    const options = words[0]?.endsWith(".ts") ? ["--import", import.meta.resolve("tsx")] : [];
    const env = { ...process.env, ...tsconfig };
    return ended(spawn(process.execPath, [...options, ...words], { cwd: folder, env }));
  }

  it("works as it is pasted, one block after the other", async () => {
    const program = join(ROOT, isBuilt ? "dist/cli/main.js" : "lib/cli/main.ts");
    const commands = blocks(readme, "sh")
      .flatMap((block) => block.trim().split("\n"))
      .map((line) => line.replace("npm ci && npm run demo", "npx ddsc demo"))
      .filter((line) => line.startsWith("npx ddsc "));
    expect(commands.map((line) => line.split(" ")[2])).toEqual([
      "demo",
      "convert",
      "inspect",
      "train",
      "evaluate",
      "impute",
      "embed",
      "generate",
      "compare",
      "report",
      "train",
      "impute",
    ]);
    for (const line of commands) {
      const { code, stderr } = await run([program, ...smaller(line).split(" ").slice(2)]);
      expect([line, code, code === 0 ? "" : stderr]).toEqual([line, 0, ""]);
    }

    // The same from TypeScript, on the file that the commands made.
    const [, typescript] = blocks(readme, "ts");
    // Beside the package, so that its name is found, as it would be in a user's node_modules.
    const file = join(ROOT, "build", `readme-${process.pid}.ts`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, smaller(typescript!));
    try {
      const { code, stdout, stderr } = await run([file]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(PRINTED);
    } finally {
      await rm(file);
    }
  }, 480_000);
});

describe.skipIf(!isBuilt)("the README's program in a project of a user", () => {
  const [files, steps] = blocks(readme, "ts");
  const program = smaller(steps!);
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ddsc-project-"));
    await mkdir(join(folder, "node_modules/@types"), { recursive: true });
    await symlink(ROOT, join(folder, "node_modules/ddsc"));
    for (const name of ["@types/node", "undici-types"]) {
      await symlink(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
    }
    await writeStudy(join(folder, "cells.h5ad"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  function run(words: readonly string[], program = process.execPath) {
    return ended(spawn(program, words, { cwd: folder }));
  }

  // As `npm init -y` makes one, and with modules.
  it.each(["commonjs", "module"])(
    "runs as it is pasted and type-checks where package.json says %s",
    async (type) => {
      await writeFile(join(folder, "package.json"), JSON.stringify({ name: "mine", version: "1.0.0", type }));
      await writeFile(join(folder, "first.ts"), program);
      const { code, stdout, stderr } = await run(["--import", import.meta.resolve("tsx"), "first.ts"]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(PRINTED);
      const options = [
        "--strict",
        "--skipLibCheck",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
      ];
      const checked = await run([join(ROOT, "node_modules/typescript/bin/tsc"), "first.ts", ...options]);
      expect(checked.stdout).toBe("");
    },
  );

  it("goes from file to file as an ES module", async () => {
    await writeFile(join(folder, "files.mjs"), smaller(files!));
    const { code, stdout, stderr } = await run(["files.mjs"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^With 50% of the genes hidden the model /);
    for (const name of ["imputed", "states", "generated"])
      expect(existsSync(join(folder, `${name}.h5ad`))).toBe(true);
  });

  it("runs as JavaScript, required, and bundled with the package left out", async () => {
    await writeFile(join(folder, "first.mjs"), program);
    expect(await run(["first.mjs"])).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(PRINTED),
    });

    await writeFile(
      join(folder, "first.cjs"),
      program.replace(/^import (.*) from "ddsc";/, 'const $1 = require("ddsc");'),
    );
    // Node 20 says that requiring ES modules is new.
    const required = await run(["--disable-warning=ExperimentalWarning", "first.cjs"]);
    expect(required).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(PRINTED) });

    const [options] = /--bundle .*ddsc/.exec(readme)!;
    const words = ["first.ts", ...options.split(" "), "--format=esm", "--outfile=bundle.mjs"];
    const bundled = await run(words, join(ROOT, "node_modules/.bin/esbuild"));
    expect(bundled.code).toBe(0);
    expect(await run(["bundle.mjs"])).toMatchObject({ code: 0, stdout: expect.stringMatching(PRINTED) });
  });
});

describe.each(pages)("%s", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");

  it("links to files that are there", () => {
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(ROOT, dirname(page), link)))).toEqual([]);
  });

  it("names options of ddsc that there are", () => {
    const known = new Set(
      Object.keys(OPTIONS).map(
        (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      ),
    );
    const commands = [...text.matchAll(/^npx ddsc .*$/gm)].map(([line]) => line);
    const named = commands.flatMap((line) =>
      [...line.matchAll(/ (--[a-z-]+)/g)].map(([, option]) => option!),
    );
    expect(named.filter((option) => !known.has(option))).toEqual([]);
  });
});
