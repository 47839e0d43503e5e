// Builds build/Release/ddsc.node from source with cmake-js, incrementally. Headers come from the npm packages
// node-api-headers and node-addon-api, so nothing is downloaded. Where nvcc is found, it holds the CUDA backend:
// DDSC_CUDA=OFF in the environment leaves it out, DDSC_CUDA_ARCHITECTURES names GPUs (see native/cuda/cuda.cmake).
//   --emulated   builds build/emulated/ddsc.node in its place: for tests, the emulator instead of a GPU
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { argv, env, execPath, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { buildTools } from "./build_tools.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Options of CMakeLists.txt that the environment may set, with their defaults: a value of an earlier build would stay. */
const settings = { DDSC_CUDA: "ON", DDSC_CUDA_ARCHITECTURES: "native" };

/** Runs one cmake-js command; whether it succeeded, and what it printed if that was not shown. */
function cmakeJs(command, { out, arch, definitions, quiet, target, environment }) {
  const program = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
  const jobs = env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  const options = ["--log-level", "warn", "--directory", root, "--out", out, "--parallel", jobs];
  if (arch !== undefined) options.push("--arch", arch);
  if (target !== undefined) options.push("--target", target);
  for (const [name, value] of Object.entries(definitions)) options.push(`--CD${name}=${value}`);
  const child = spawnSync(execPath, [program, command, ...options], {
    cwd: root,
    env: environment,
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
 * Builds the addon; whether it worked, what the tools printed if that was not shown, and three lines on it where tools are
 * missing.
 * @param options.out folder the build works in
 * @param options.into folder of the addon, in whose Release it goes
 * @param options.arch architecture as Node names it; default this machine's
 * @param options.definitions variables for CMake
 * @param options.target what to build; default the addon alone
 * @param options.quiet whether the tools' output is kept instead of shown
 * @param options.problem what is said first where tools are missing
 */
export function buildAddon(options = {}) {
  const {
    out = join(root, "build/cmake"),
    into = join(root, "build"),
    arch,
    target,
    quiet = false,
    problem,
  } = options;
  const { missing, env: environment } = buildTools({ problem, quiet });
  if (missing !== undefined) return { ok: false, text: missing, missing };
  const given = Object.entries(settings).map(([name, usual]) => [name, env[name] || usual]);
  const definitions = { DDSC_ADDON_FOLDER: into, ...Object.fromEntries(given), ...options.definitions };
  const run = (command) => cmakeJs(command, { out, arch, definitions, quiet, target, environment });
  let configured = run("configure");
  if (!configured.ok && removeWork(out)) configured = run("configure");
  return configured.ok ? run("build") : configured;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const target = argv.includes("--emulated") ? "ddsc_node_emulated" : undefined;
  const { ok, missing } = buildAddon({ target });
  if (missing !== undefined) console.error(missing);
  exit(ok ? 0 : 1);
}
