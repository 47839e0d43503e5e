// Installs the package as a user would and runs it: node scripts/test_package.mjs [--build-from-source]
//   - packs it with the binaries in prebuilds/ (npm run prebuild makes them)
//   - installs the tarball into an empty folder, offline, on a PATH with Node, npm and a shell and nothing else
//   - runs `ddsc doctor` and a short demo
//   - type-checks the examples and a consumer under moduleResolution node16 and bundler, and runs the consumer
//   - takes the binaries away: the install step must say in three lines what is missing
//   - with --build-from-source, gives the compiler back, but neither CMake nor make nor Ninja, which come from npm then: it
//     must build and run (some minutes)
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { arch, argv, env, execPath, exit, platform } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const work = mkdtempSync(join(tmpdir(), "ddsc-package-"));
const app = join(work, "app");
const HIDDEN = ["cmake", "make", "ninja", "g++", "gcc", "c++", "cc", "clang", "clang++", "python3", "python"];

class Failure extends Error {}

/** Runs a command; fails unless it ends with the code wanted. Returns what it printed. */
function run(command, words, { wanted = 0, ...options } = {}) {
  const result = spawnSync(command, words, {
    cwd: app,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
  });
  if (result.status === wanted) return result;
  const said = `${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`;
  throw new Failure(`${command} ${words.join(" ")} ended with ${result.status}, not ${wanted}\n${said}`);
}

/** Where a program lies on the PATH; undefined if nowhere. */
function find(program, path = env.PATH) {
  return path
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
}

/** A folder with Node, npm and a shell alone. */
function barePath() {
  const bin = join(work, "bin");
  mkdirSync(bin);
  for (const program of ["npm", "npx", "sh"]) symlinkSync(realpathSync(find(program)), join(bin, program));
  symlinkSync(execPath, join(bin, "node"));
  for (const program of HIDDEN) {
    if (find(program, bin) !== undefined)
      throw new Failure(`${program} is on the PATH that should not have it`);
  }
  return bin;
}

/** A folder with every program on the PATH but these. */
function pathWithout(hidden) {
  const bin = join(work, "bin-without");
  mkdirSync(bin);
  for (const folder of env.PATH.split(delimiter).filter((name) => existsSync(name))) {
    for (const program of readdirSync(folder)) {
      // lstat, not stat: what comes first on the PATH wins, a broken link included.
      if (hidden.includes(program) || lstatSync(join(bin, program), { throwIfNoEntry: false })) continue;
      symlinkSync(join(folder, program), join(bin, program));
    }
  }
  return bin;
}

function step(text) {
  console.log(`package: ${text}`);
}

/** The consumer's configuration for one way of resolving modules. */
function consumerConfig(moduleResolution) {
  const module = moduleResolution === "node16" ? "node16" : "preserve";
  return {
    compilerOptions: {
      target: "es2023",
      lib: ["es2023", "esnext.disposable"],
      types: ["node"],
      module,
      moduleResolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      outDir: `out-${moduleResolution}`,
    },
    include: ["*.ts"],
  };
}

const CONSUMER = `import { DdscError, Denoiser, GeneVocabulary, MemorySource, simulateCells, Trainer } from "ddsc";
import type { Device, StepResult } from "ddsc";

using cells = new MemorySource(simulateCells({ cells: 40, genes: 20 }).cells);
using model = await Denoiser.create({ preset: "nano", vocabulary: GeneVocabulary.from(cells) });
const steps: StepResult[] = [];
for await (const step of new Trainer(model, { batchCells: 8 }).fit(cells, { steps: 2 })) steps.push(step);
const names = (devices: readonly Device[]): string => devices.map(({ name }) => name).join();
const { devices } = await import("ddsc");
try {
  await Denoiser.load("nowhere");
} catch (error) {
  if (!(error instanceof DdscError)) throw error;
  console.log(steps.length, names(devices()), error.code);
}
`;

function pack() {
  const { stdout } = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", work], {
    cwd: root,
  });
  const [{ filename, size }] = JSON.parse(stdout);
  step(`${filename}, ${(size / 1e6).toFixed(1)} MB`);
  return join(work, filename);
}

/** Fills npm's cache with what the package depends on, so that the installation needs no network. */
function prime(tarball) {
  const other = join(work, "prime");
  mkdirSync(other);
  writeFileSync(join(other, "package.json"), "{}");
  run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", tarball], { cwd: other });
}

function install(tarball, bare) {
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), '{ "type": "module" }');
  const start = performance.now();
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], { env: bare });
  const seconds = (performance.now() - start) / 1000;
  step(`installed offline, without compiler, CMake and Python, in ${seconds.toFixed(1)} s`);
  if (existsSync(join(app, "node_modules/ddsc/build"))) throw new Failure("the installation built something");
}

function runProgram(bare) {
  const { stdout: doctor } = run("npx", ["--no-install", "ddsc", "doctor"], { env: bare });
  const binary = /^binary .*$/m.exec(doctor)?.[0] ?? "";
  if (!binary.includes(`prebuilds/${platform}-${arch}/`))
    throw new Failure(`not the prebuilt binary: ${doctor}`);
  step(binary);
  const { stdout: demo } = run("npx", ["--no-install", "ddsc", "demo", "--short", "--quiet"], { env: bare });
  if (!demo.includes("4. 10 genes of one such cell")) throw new Failure(`the demo did not end: ${demo}`);
  step("ddsc demo --short runs");
}

function checkConsumer(bare) {
  writeFileSync(join(app, "consumer.ts"), CONSUMER);
  for (const name of readdirSync(join(root, "examples")))
    cpSync(join(root, "examples", name), join(app, name));
  // Types of Node, which a user installs.
  mkdirSync(join(app, "node_modules/@types"), { recursive: true });
  for (const name of ["@types/node", "undici-types"]) {
    rmSync(join(app, "node_modules", name), { recursive: true, force: true });
    cpSync(join(root, "node_modules", name), join(app, "node_modules", name), { recursive: true });
  }
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  for (const moduleResolution of ["node16", "bundler"]) {
    const config = `tsconfig.${moduleResolution}.json`;
    writeFileSync(join(app, config), JSON.stringify(consumerConfig(moduleResolution)));
    run(execPath, [tsc, "-p", config]);
    const { stdout } = run(execPath, [`out-${moduleResolution}/consumer.js`], { env: bare });
    if (!/^2 cpu\S* CHECKPOINT_READ\n$/.test(stdout)) throw new Failure(`the consumer printed ${stdout}`);
    step(`a consumer type-checks under ${moduleResolution} and runs`);
  }
}

/** The install step where there is no binary. */
function withoutBinaries(bare) {
  rmSync(join(app, "node_modules/ddsc/prebuilds"), { recursive: true });
  const { stderr } = run(execPath, ["node_modules/ddsc/scripts/install.mjs"], { env: bare, wanted: 1 });
  if (stderr.trimEnd().split("\n").length !== 3 || !stderr.includes("a C++20 compiler")) {
    throw new Failure(`not three lines on what is missing:\n${stderr}`);
  }
  step(`without binary and tools:\n${stderr.trimEnd()}`);
  if (!argv.includes("--build-from-source")) return;
  const withoutCmake = { ...env, PATH: pathWithout(["cmake", "make", "gmake", "ninja"]) };
  run("npm", ["rebuild", "ddsc"], { env: withoutCmake });
  if (existsSync(join(app, "node_modules/ddsc/build/tools"))) throw new Failure("what built it was kept");
  const { stdout } = run("npx", ["--no-install", "ddsc", "doctor"]);
  if (!stdout.includes("binary   build/Release/ddsc.node"))
    throw new Failure(`not built from source:\n${stdout}`);
  step(
    "without a binary it builds from source, with CMake and Ninja from npm, and ddsc doctor finds nothing wrong",
  );
}

let code = 1;
try {
  const binary = join(root, "prebuilds", `${platform}-${arch}`);
  if (!existsSync(binary)) throw new Failure(`${binary} is missing: npm run prebuild`);
  const bare = { PATH: barePath(), HOME: env.HOME, npm_config_cache: env.npm_config_cache };
  if (bare.npm_config_cache === undefined) delete bare.npm_config_cache;
  const tarball = pack();
  prime(tarball);
  install(tarball, bare);
  runProgram(bare);
  checkConsumer(bare);
  withoutBinaries(bare);
  code = 0;
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`package: ${error.message}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
exit(code);
