// Checks the tarball that would be published: that it holds exactly what users need (a list of files), licences, and
// what publint and attw find.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { env, exit } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Files outside of the folders below. */
const LISTED = [
  "CMakeLists.txt",
  "LICENSE",
  "README.md",
  "THIRD_PARTY_NOTICES.md",
  "binding.gyp",
  "package.json",
  "scripts/build_addon.mjs",
  "scripts/build_tools.mjs",
  "scripts/install.mjs",
];
const NATIVE = /^native\/(?!test\/|bench\/|cuda\/emulator\/)[\w/]+\.(?:h|cpp|cu|cuh|map|cmake|md)$/;
const PREBUILT = /^prebuilds\/(?:linux|darwin)-(?:x64|arm64)\/ddsc(?:\.glibc|\.musl)?\.node$/;
/** What one source file becomes. */
const BUILT = [".js", ".js.map", ".d.ts"];
/** Bytes of the tarball but for the binaries, so that nothing large slips in. */
const LARGEST = 4e6;

function run(command, commandArguments, options = {}) {
  const result = spawnSync(command, commandArguments, { cwd: root, encoding: "utf8", env, ...options });
  if (result.status !== 0) {
    console.error(result.error?.message ?? `${result.stdout ?? ""}${result.stderr ?? ""}`.trim());
    console.error(`package check: ${command} ${commandArguments.join(" ")} failed`);
  }
  return result;
}

/** All files below a folder, relative to the root. */
function filesBelow(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** Exactly the files that the tarball should hold. */
function wantedFiles() {
  const sources = filesBelow("lib").filter((path) => path.endsWith(".ts"));
  const built = sources.flatMap((path) => {
    const stem = `dist/${path.slice("lib/".length, -".ts".length)}`;
    return BUILT.map((ending) => stem + ending);
  });
  const native = filesBelow("native").filter((path) => NATIVE.test(path));
  const prebuilt = filesBelow("prebuilds").filter((path) => PREBUILT.test(path));
  // What the README links to.
  const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  const shown = [...docs.map((name) => `docs/${name}`), ...filesBelow("examples")];
  return new Set([...LISTED, ...built, ...native, ...prebuilt, ...shown]);
}

/** Packs into `directory` and checks the tarball; returns the exit code. */
function check(directory) {
  if (run("node", ["scripts/notices.mjs", "--check"]).status !== 0) return 1;
  // Scripts are off: `npm test` has built already, and the tarball is checked as the tree stands.
  const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", directory]);
  if (packed.status !== 0) return 1;
  const [description] = JSON.parse(packed.stdout);
  const paths = description.files.map((file) => file.path);
  const wanted = wantedFiles();
  const problems = [
    ...[...wanted].filter((path) => !paths.includes(path)).map((path) => `lacks ${path}`),
    ...paths.filter((path) => !wanted.has(path)).map((path) => `must not hold ${path}`),
  ];
  const binaries = paths.filter((path) => PREBUILT.test(path)).length;
  // A binary's own size is checked where it is made (check_prebuilds.mjs).
  if (binaries === 0 && description.size > LARGEST) problems.push(`takes ${description.size} bytes`);
  for (const problem of problems) console.error(`package check: the tarball ${problem}`);
  if (problems.length > 0) return 1;
  console.log(
    `package: ${paths.length} files, ${(description.size / 1e6).toFixed(1)} MB, ${binaries} binaries`,
  );

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
