// Checks the tarball that would be published, with publint and attw, after checking that it holds what an
// install from source needs and nothing of the tests.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { env, exit } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const needed = [
  "binding.gyp",
  "CMakeLists.txt",
  "LICENSE",
  "README.md",
  "dist/index.js",
  "dist/index.d.ts",
  "dist/cli/main.js",
  "scripts/install.mjs",
  "scripts/build_addon.mjs",
  "native/core/views.h",
  "native/cuda/cuda.cmake",
];
const unwanted = /^(test|bench|native\/(test|bench|cuda\/emulator))\/|\.tsbuildinfo$|\.test\.js$/;

function run(command, commandArguments, options = {}) {
  const result = spawnSync(command, commandArguments, { cwd: root, encoding: "utf8", env, ...options });
  if (result.status !== 0) {
    console.error(result.error?.message ?? `${result.stdout ?? ""}${result.stderr ?? ""}`.trim());
    console.error(`package check: ${command} ${commandArguments.join(" ")} failed`);
  }
  return result;
}

/** Packs into `directory` and checks the tarball; returns the exit code. */
function check(directory) {
  // Scripts are off: `npm test` has built already, and the tarball is checked as the tree stands.
  const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", directory]);
  if (packed.status !== 0) return 1;
  const [description] = JSON.parse(packed.stdout);
  const paths = description.files.map((file) => file.path);
  const problems = [
    ...needed.filter((path) => !paths.includes(path)).map((path) => `lacks ${path}`),
    ...paths.filter((path) => unwanted.test(path)).map((path) => `must not hold ${path}`),
  ];
  for (const problem of problems) console.error(`package check: the tarball ${problem}`);
  if (problems.length > 0) return 1;

  const tarball = join(directory, description.filename);
  const show = { stdio: ["ignore", "inherit", "inherit"] };
  if (run("npx", ["--no-install", "publint", "run", tarball, "--strict"], show).status !== 0) return 1;
  return run("npx", ["--no-install", "attw", tarball, "--profile", "esm-only"], show).status === 0 ? 0 : 1;
}

const directory = mkdtempSync(join(tmpdir(), "ddsc-package-"));
let code = 1;
try {
  code = check(directory);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
exit(code);
