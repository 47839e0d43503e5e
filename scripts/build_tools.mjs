// What a build from source needs, whether it is there, and how this system gets it.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, platform } from "node:process";

const OLDEST_CMAKE = [3, 20];

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

/** The command that installs everything a build needs, for the system at hand. */
export function installCommand(system = platform, osRelease = "/etc/os-release") {
  if (system === "darwin") return "xcode-select --install && brew install cmake";
  const names = distributions(osRelease);
  const is = (...known) => known.some((name) => names.includes(name));
  if (is("alpine")) return "apk add cmake g++ make";
  if (is("debian", "ubuntu")) return "apt-get install cmake g++ make";
  if (is("fedora", "rhel", "centos")) return "dnf install cmake gcc-c++ make";
  if (is("arch")) return "pacman -S cmake gcc make";
  if (is("suse", "opensuse")) return "zypper install cmake gcc-c++ make";
  return "install CMake 3.20 or newer, make, and GCC 11 or Clang 14 or newer";
}

/** Which of the tools are not there, such as "cmake, a C++ compiler"; empty if all are. */
function absentTools() {
  const absent = [];
  const cmake = versionOf("cmake");
  if (cmake === undefined) absent.push("cmake");
  else if (isOlder(cmake, OLDEST_CMAKE)) absent.push(`cmake ${OLDEST_CMAKE.join(".")} or newer`);
  if (!["make", "gmake", "ninja"].some(runs)) absent.push("make");
  // What cmake-js looks for; which one is used is CMake's choice.
  if (!["g++", "clang++"].some(runs)) absent.push("a C++20 compiler");
  return absent;
}

/** Three lines on what went wrong, why, and what to do. */
export function threeLines(problem, cause) {
  return [
    `ddsc: ${problem}`,
    `  ${cause}`,
    `  to build it from source: ${installCommand()}; then npm install ddsc`,
  ].join("\n");
}

/** For this system, in words: "linux-x64 (musl)". */
export function systemName() {
  const musl = platform === "linux" && process.report?.getReport().header.glibcVersionRuntime === undefined;
  return `${platform}-${arch}${musl ? " (musl)" : ""}`;
}

/** What to say where a build cannot even begin; undefined where it can. */
export function missingTools(problem = "cannot build from source") {
  const absent = absentTools();
  return absent.length === 0 ? undefined : threeLines(problem, `missing here: ${absent.join(", ")}`);
}
