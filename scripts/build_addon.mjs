// Builds build/Release/ddsc.node from source with cmake-js, incrementally. Headers come from the npm packages
// node-api-headers and node-addon-api, so nothing is downloaded.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { argv, env, execPath, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { missingTools } from "./build_tools.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs one cmake-js command; whether it succeeded, and what it printed if that was not shown. */
function cmakeJs(command, { out, arch, definitions, quiet }) {
  const program = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
  const jobs = env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  const options = ["--log-level", "warn", "--directory", root, "--out", out, "--parallel", jobs];
  if (arch !== undefined) options.push("--arch", arch);
  for (const [name, value] of Object.entries(definitions)) options.push(`--CD${name}=${value}`);
  const child = spawnSync(execPath, [program, command, ...options], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
  });
  return { ok: child.status === 0, text: `${child.stdout ?? ""}${child.stderr ?? ""}` };
}

/** Forgets an earlier configuration, such as one made where the package lay before; false if there was none. */
function removeWork(folder) {
  if (!existsSync(folder)) return false;
  rmSync(folder, { recursive: true, force: true });
  return true;
}

/**
 * Builds the addon; whether it worked, and what the tools printed if that was not shown.
 * @param options.out folder the build works in
 * @param options.into folder of the addon, in whose Release it goes
 * @param options.arch architecture as Node names it; default this machine's
 * @param options.definitions variables for CMake
 * @param options.quiet whether the tools' output is kept instead of shown
 */
export function buildAddon(options = {}) {
  const { out = join(root, "build/cmake"), into = join(root, "build"), arch, quiet = false } = options;
  const definitions = { DDSC_ADDON_FOLDER: into, ...options.definitions };
  const run = (command) => cmakeJs(command, { out, arch, definitions, quiet });
  let configured = run("configure");
  if (!configured.ok && removeWork(out)) configured = run("configure");
  return configured.ok ? run("build") : configured;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const missing = missingTools();
  if (missing !== undefined) console.error(missing);
  exit(missing === undefined && buildAddon().ok ? 0 : 1);
}
