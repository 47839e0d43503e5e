// The native core without Node: node scripts/native.mjs build | test | sanitize | bench [arguments of ddsc_bench]
//   build     core, conformance tests and benchmark: with the addon where that is built (build/cmake), which shares the
//             core, else in build-native/
//   test      build, check the kernels' symbols, run the conformance tests: the CPU's, and the CUDA sources' on the
//             emulator, with a stand-in for cuBLASLt, too; planted faults must make them fail
//   sanitize  all conformance tests and the emulator's but the longest under ASan + UBSan (build-asan/), those about
//             threads under TSan (build-tsan/)
//   bench     build and run the benchmark
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { argv, env, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { buildTools, TEST_JOBS } from "./build_tools.mjs";
import { checkIsaSymbols } from "./check_isa_symbols.mjs";
import { checkPlantedFaults } from "./check_planted_faults.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command in the repository's root; ends this process with its exit code if that is not 0. */
function run(command, commandArguments, environment = {}) {
  const result = spawnSync(command, commandArguments, {
    cwd: root,
    env: { ...env, ...environment },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (result.error) {
    console.error(`${command}: ${result.error.message}`);
    exit(1);
  }
  if (result.signal) console.error(`${command} was ended by ${result.signal}`);
  if (result.status !== 0) exit(result.status ?? 1);
}

/** Configures and builds `targets` in `directory`. */
function build(directory, options = [], targets = ["ddsc_checks"]) {
  const tools = buildTools();
  if (tools.missing !== undefined) {
    console.error(tools.missing);
    exit(1);
  }
  const jobs = env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism());
  run("cmake", ["-S", ".", "-B", directory, "--log-level=WARNING", ...options], tools.env);
  run("cmake", ["--build", directory, "--parallel", jobs, "--target", ...targets], tools.env);
}

/** Builds `targets` where the core is compiled already, or by themselves; the folder. */
function buildHere(targets) {
  const cache = join(root, "build/cmake/CMakeCache.txt");
  const isOurs = `CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`;
  if (existsSync(cache) && readFileSync(cache, "utf8").includes(isOurs)) {
    build("build/cmake", [], targets);
    return "build/cmake";
  }
  // The CUDA sources run on the emulator here: nvcc is for the addon.
  build("build-native", ["-DDDSC_CUDA=OFF"], targets);
  return "build-native";
}

/** Runs the conformance tests of a build, side by side; `launcher` is a command that starts it. */
function conformance(
  directory,
  { program = "ddsc_conformance", options = [], environment = {}, launcher = [] } = {},
) {
  const words = [join(root, directory, program), "--jobs", TEST_JOBS, ...options];
  const [command, ...rest] = [...launcher, ...words];
  run(command, rest, environment);
}

/** TSan of GCC 12 needs memory laid out as kernels did before 2023: without randomisation where that is allowed. */
function fixedLayout() {
  const launcher = ["setarch", "--addr-no-randomize"];
  return spawnSync(launcher[0], [...launcher.slice(1), "true"], { stdio: "ignore" }).status === 0
    ? launcher
    : [];
}

const commands = {
  build: () => buildHere(),
  test: () => {
    const folder = buildHere();
    checkIsaSymbols(join(root, folder));
    conformance(folder);
    conformance(folder, { program: "ddsc_emulated" });
    // Products once more, by the stand-in for NVIDIA's library, and what holds of whole models.
    const environment = {
      DDSC_GEMM: "cublaslt",
      DDSC_EMULATED_CUBLASLT: join(root, folder, "libddsc_fake_cublaslt.so"),
    };
    for (const filter of ["linear_test", "asynchronous_test", "memory_test"]) {
      const options = ["--filter", filter, "--except", "(cuda, float)"];
      conformance(folder, { program: "ddsc_emulated", options, environment });
    }
    checkPlantedFaults(join(root, folder));
  },
  sanitize: () => {
    build(
      "build-asan",
      ["-DDDSC_CUDA=OFF", "-DDDSC_SANITIZE=address"],
      ["ddsc_conformance", "ddsc_emulated"],
    );
    const environment = { UBSAN_OPTIONS: "print_stacktrace=1" };
    conformance("build-asan", { environment });
    // Whole models on the emulator, and draws by the hundred thousand, take minutes each there; their kernels run in the other tests of
    // each op, and on the CPU they all run.
    const long = [
      "along a direction",
      "for any number of threads",
      "recompute_test",
      "with float64 (cuda, float)",
      "rounded once (cuda, float)",
      "batches given ahead give the bits",
      "any number of cells",
      "training run on counts",
      "batch of counts that is staged",
      "what is said of a query",
      "losses of a cell of counts",
      "what the negative binomials",
      "says the same after the weights",
      "moving average predicts counts",
      "draws of counts are named",
      "a count model in bf16",
      "drawn as often as",
    ];
    const options = long.flatMap((text) => ["--except", text]);
    conformance("build-asan", { program: "ddsc_emulated", options, environment });
    build("build-tsan", ["-DDDSC_CUDA=OFF", "-DDDSC_SANITIZE=thread"], ["ddsc_conformance"]);
    conformance("build-tsan", {
      options: ["--filter", "thread"],
      environment: { TSAN_OPTIONS: "halt_on_error=1" },
      launcher: fixedLayout(),
    });
  },
  bench: () => {
    run(join(root, buildHere(["ddsc_bench"]), "ddsc_bench"), argv.slice(3));
  },
};

const command = commands[argv[2]];
if (command === undefined) {
  console.error("usage: node scripts/native.mjs build | test | sanitize | bench [arguments of ddsc_bench]");
  exit(2);
}
command();
