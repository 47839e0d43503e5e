// Builds build/Release/ddsc.node from source with cmake-js, incrementally. Headers come from the npm packages
// node-api-headers and node-addon-api, so nothing is downloaded. Where nvcc is found, it holds the CUDA backend:
// DDSC_CUDA=OFF in the environment leaves it out, DDSC_CUDA_ARCHITECTURES names GPUs (see native/cuda/cuda.cmake).
//   --emulated   builds build/emulated/ddsc.node in its place: for tests, the emulator instead of a GPU
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { argv, env, execPath, exit, platform } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// Below build/, whose own top level belongs to node-gyp where that is the caller.
const work = join(root, "build/cmake");
const hint =
  platform === "darwin"
    ? "xcode-select --install; brew install cmake"
    : "on Debian or Ubuntu: apt-get install cmake g++ make";

/** Whether `command --version` runs. */
function runs(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Options of CMakeLists.txt that the environment may set, with their defaults: a value of an earlier build would stay. */
const settings = { DDSC_CUDA: "ON", DDSC_CUDA_ARCHITECTURES: "native" };

/** Runs one cmake-js command; whether it succeeded. */
function cmakeJs(command, target) {
  const program = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
  const jobs = env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  const options = ["--log-level", "warn", "--directory", root, "--out", work, "--parallel", jobs];
  for (const [name, usual] of Object.entries(settings)) options.push(`--CD${name}=${env[name] || usual}`);
  if (target !== undefined) options.push("--target", target);
  const child = spawnSync(execPath, [program, command, ...options], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  return child.status === 0;
}

/** Forgets an earlier configuration, such as one made where the package lay before; false if there was none. */
function removeWork() {
  if (!existsSync(work)) return false;
  rmSync(work, { recursive: true, force: true });
  return true;
}

/** Builds the addon; returns an exit code, having said on stderr what is missing if it is not 0. */
export function buildAddon({ emulated = false } = {}) {
  if (!runs("cmake")) {
    console.error(`ddsc: cannot build from source: cmake (3.20 or newer) was not found (${hint})`);
    return 1;
  }
  if (![env.CXX, "c++", "g++", "clang++"].some((compiler) => compiler && runs(compiler))) {
    console.error(`ddsc: cannot build from source: no C++20 compiler was found (${hint})`);
    return 1;
  }
  const configured = cmakeJs("configure") || (removeWork() && cmakeJs("configure"));
  if (configured && cmakeJs("build", emulated ? "ddsc_node_emulated" : undefined)) return 0;
  console.error(`ddsc: the build failed; it needs cmake 3.20, and GCC 11 or Clang 14 or newer (${hint})`);
  return 1;
}

if (argv[1] === fileURLToPath(import.meta.url)) exit(buildAddon({ emulated: argv.includes("--emulated") }));
