// Builds build/Release/ddsc.node from source with cmake-js, incrementally. Headers come from the npm packages
// node-api-headers and node-addon-api, so nothing is downloaded.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { argv, env, execPath, exit, platform } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const hint =
  platform === "darwin"
    ? "xcode-select --install; brew install cmake"
    : "on Debian or Ubuntu: apt-get install cmake g++ make";

/** Whether `command --version` runs. */
function runs(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Builds the addon; returns an exit code, having said on stderr what is missing if it is not 0. */
export function buildAddon() {
  if (!runs("cmake")) {
    console.error(`ddsc: cannot build from source: cmake (3.20 or newer) was not found (${hint})`);
    return 1;
  }
  if (![env.CXX, "c++", "g++", "clang++"].some((compiler) => compiler && runs(compiler))) {
    console.error(`ddsc: cannot build from source: no C++20 compiler was found (${hint})`);
    return 1;
  }
  const cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
  const jobs = env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  const build = spawnSync(
    execPath,
    // A folder below build/, whose own top level belongs to node-gyp where that is the caller.
    [
      cmakeJs,
      "build",
      "--log-level",
      "warn",
      "--directory",
      root,
      "--out",
      join(root, "build/cmake"),
      "--parallel",
      jobs,
    ],
    { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
  );
  if (build.status !== 0) {
    console.error(`ddsc: the build failed; it needs cmake 3.20, and GCC 11 or Clang 14 or newer (${hint})`);
  }
  return build.status ?? 1;
}

if (argv[1] === fileURLToPath(import.meta.url)) exit(buildAddon());
